// "Trouble": a VST3 with one parameter of each kind, a latency, and switches for all that plugins do wrong.
#include "DistrhoPlugin.hpp"
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <unistd.h>

START_NAMESPACE_DISTRHO

enum Parameters {
    kCutoff, kVoices, kInvert, kMode, kBypass, kLevelMeter,
    kCrash, kThrow, kNan, kHang, kGlide, kSticky, kRandom,
    kCount
};

static const uint32_t kLatency = LATENCY;

class Trouble : public Plugin {
public:
    Trouble() : Plugin(kCount, 0, 0) {
        std::memset(fValues, 0, sizeof(fValues));
        fValues[kCutoff] = 1000.0f;
        fValues[kVoices] = 1.0f;
        setLatency(kLatency);
        clear();
    }

protected:
    const char* getLabel() const override { return "Trouble"; }
    const char* getMaker() const override { return "dafxvae"; }
    const char* getLicense() const override { return "ISC"; }
    uint32_t getVersion() const override { return d_version(1, 0, 0); }
    int64_t getUniqueId() const override { return d_cconst('T', 'r', 'b', 'l'); }

    void initParameter(uint32_t index, Parameter& p) override {
        static const char* const switches[] = {"Crash", "Throw", "NaN", "Hang", "Glide", "Sticky", "Random"};
        p.hints = kParameterIsAutomatable;
        switch (index) {
        case kCutoff:
            p.hints |= kParameterIsLogarithmic;
            name(p, "Cutoff", "Hz", 20.0f, 20000.0f, 1000.0f);
            break;
        case kVoices:
            p.hints |= kParameterIsInteger;
            name(p, "Voices", "", 1.0f, 8.0f, 1.0f);
            break;
        case kInvert:
            p.hints |= kParameterIsBoolean;
            name(p, "Invert", "", 0.0f, 1.0f, 0.0f);
            break;
        case kMode: {
            p.hints |= kParameterIsInteger;
            name(p, "Mode", "", 0.0f, 2.0f, 0.0f);
            ParameterEnumerationValue* const values = new ParameterEnumerationValue[3];
            const char* const labels[] = {"Clean", "Soft", "Hard"};
            for (int i = 0; i < 3; ++i) { values[i].value = i; values[i].label = labels[i]; }
            p.enumValues.count = 3;
            p.enumValues.restrictedMode = true;
            p.enumValues.values = values;
            break;
        }
        case kBypass:
            p.hints |= kParameterIsBoolean;
            name(p, "Bypass", "", 0.0f, 1.0f, 0.0f);
            break;
        case kLevelMeter:
            p.hints = kParameterIsOutput;
            name(p, "Level Meter", "dB", -60.0f, 0.0f, -60.0f);
            break;
        default:
            p.hints |= kParameterIsBoolean;
            name(p, switches[index - kCrash], "", 0.0f, 1.0f, 0.0f);
        }
    }

    float getParameterValue(uint32_t index) const override { return fValues[index]; }
    void setParameterValue(uint32_t index, float value) override { fValues[index] = value; }

    void activate() override { clear(); }

    void run(const float** in, float** out, uint32_t frames) override {
        if (on(kCrash)) { *reinterpret_cast<volatile int*>(8) = 1; }
        if (on(kThrow)) { throw std::runtime_error("trouble was asked to throw"); }
        while (on(kHang)) { usleep(1000); }
        if (on(kBypass)) { pass(in, out, frames); return; }
        const float a = std::exp(-2.0 * M_PI * std::fmin(fValues[kCutoff] / getSampleRate(), 0.49));
        for (uint32_t t = 0; t < frames; ++t) {
            // A gain that glides to its target and survives a reset, as smoothers of real plugins do.
            const float target = on(kInvert) ? -1.0f : 1.0f;
            fGain = on(kGlide) ? fGain + 0.01f * (target - fGain) : target;
            if (std::fabs(fGain - target) < 1e-4f) { fGain = target; }
            for (int c = 0; c < 2; ++c) {
                fState[c] = (1.0f - a) * in[c][t] + a * fState[c];
                float y = fGain * fState[c] * fValues[kVoices];
                if (fValues[kMode] > 1.5f) { y = std::fmax(-0.1f, std::fmin(0.1f, y)); }
                else if (fValues[kMode] > 0.5f) { y = std::tanh(y); }
                if (on(kNan) && fCount > 1000) { y = std::numeric_limits<float>::quiet_NaN(); }
                if (on(kSticky)) { y += 1e-3f * fRenders; }            // counts for the life of the instance
                if (on(kRandom)) { y += 1e-3f * (std::rand() % 100); } // of the process
                const float late = fDelay[c][fCount % kLatency];
                fDelay[c][fCount % kLatency] = y;
                out[c][t] = late;
            }
            ++fCount;
        }
    }

private:
    bool on(int index) const { return fValues[index] > 0.5f; }

    void clear() {
        std::memset(fState, 0, sizeof(fState));
        std::memset(fDelay, 0, sizeof(fDelay));
        fCount = 0;
        ++fRenders;
    }

    void pass(const float** in, float** out, uint32_t frames) {
        for (int c = 0; c < 2; ++c) {
            if (out[c] != in[c]) { std::memcpy(out[c], in[c], sizeof(float) * frames); }
        }
    }

    static void name(Parameter& p, const char* text, const char* unit, float low, float high, float value) {
        p.name = text;
        p.symbol = text;
        p.unit = unit;
        p.ranges.min = low;
        p.ranges.max = high;
        p.ranges.def = value;
    }

    float fValues[kCount];
    float fState[2];
    float fDelay[2][kLatency];
    float fGain = 1.0f;
    uint64_t fCount = 0;
    int fRenders = 0;

    DISTRHO_DECLARE_NON_COPYABLE_WITH_LEAK_DETECTOR(Trouble)
};

Plugin* createPlugin() { return new Trouble(); }

END_NAMESPACE_DISTRHO
