"""The Job file: score this source with this bundle into that sink, every night. Its parts are imported by name."""
