"""The data plane's process: assembles the stages that the apps own. No rule lives here, and no Django."""
