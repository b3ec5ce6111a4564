"""Kinds of media files that are read, by the ending of their names; importing this loads no decoder."""

from __future__ import annotations

VIDEO_SUFFIXES = (
    *(".mp4", ".avi", ".mkv", ".mov", ".webm", ".m4v", ".mpg", ".mpeg", ".m2v", ".ts", ".mts", ".m2ts", ".vob"),
    *(".flv", ".f4v", ".wmv", ".asf", ".3gp", ".3g2", ".ogv", ".ogm", ".mxf", ".dv", ".divx", ".rm", ".rmvb"),
    *(".qt", ".nut", ".mjpeg", ".mjpg", ".h264", ".264", ".hevc", ".h265", ".265", ".ivf", ".y4m", ".wtv", ".gif"),
)
AUDIO_SUFFIXES = (
    *(".wav", ".flac", ".mp3", ".m4a", ".m4b", ".aac", ".ogg", ".oga", ".opus", ".spx", ".weba", ".wma", ".aif"),
    *(".aiff", ".aifc", ".au", ".snd", ".caf", ".amr", ".ac3", ".eac3", ".dts", ".mp2", ".mka", ".ape", ".wv"),
    *(".tta", ".mpc", ".w64", ".voc", ".sph", ".nist", ".gsm", ".ra"),
)
MEDIA_SUFFIXES = VIDEO_SUFFIXES + AUDIO_SUFFIXES
MEDIA_KINDS = "mp4, mkv, mov, avi, webm, wav, mp3, m4a, flac and other kinds"  # as help texts name them
