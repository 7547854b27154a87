"""Configuration: `yizhan.toml`, over it variables of the environment, over them the options of a command."""
