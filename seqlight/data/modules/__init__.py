"""The DataModules."""
