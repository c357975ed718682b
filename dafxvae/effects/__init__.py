"""Hosting of black-box effects: names, parameters, rendering, pools."""
