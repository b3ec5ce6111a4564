"""Kinds of media files that are read, by the ending of their names; importing this loads no decoder."""

from __future__ import annotations

VIDEO_SUFFIXES = (".mp4", ".avi", ".mkv", ".mov")
AUDIO_SUFFIXES = (".wav", ".flac")
MEDIA_SUFFIXES = VIDEO_SUFFIXES + AUDIO_SUFFIXES
MEDIA_KINDS = ", ".join(suffix.removeprefix(".") for suffix in MEDIA_SUFFIXES)  # as help texts name them
