// A small VST3 for the tests of plugin hosting. See TestPlugin.cpp.
#pragma once
#define DISTRHO_PLUGIN_BRAND "dafxvae"
#define DISTRHO_PLUGIN_NAME "Trouble"
#define DISTRHO_PLUGIN_URI "urn:dafxvae:trouble"
#define DISTRHO_PLUGIN_CLAP_ID "dafxvae.trouble"
#define DISTRHO_PLUGIN_BRAND_ID dafx
#define DISTRHO_PLUGIN_UNIQUE_ID Trbl
#define DISTRHO_PLUGIN_HAS_UI 0
#define DISTRHO_PLUGIN_IS_RT_SAFE 1
#define DISTRHO_PLUGIN_NUM_INPUTS 2
#define DISTRHO_PLUGIN_NUM_OUTPUTS 2
#define DISTRHO_PLUGIN_WANT_LATENCY 1
