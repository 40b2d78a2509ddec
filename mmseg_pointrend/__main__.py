"""The command `mmseg-pointrend`, as `python -m mmseg_pointrend`."""

from mmseg_pointrend.apis.command_line import main

if __name__ == "__main__":
    main()
