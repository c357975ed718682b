"""The transfer in a browser: upload, transfer, listen, turn every setting, download."""
