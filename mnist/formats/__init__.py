"""The forms in which a data set may come, a module for each: all become the IDX files of `data/raw`."""
