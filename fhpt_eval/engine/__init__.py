"""The engine: drives extractors over files. `local` is this machine; another engine implements `base.Engine`."""
