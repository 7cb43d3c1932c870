"""Distances, with the names of `scipy.spatial`."""

from __future__ import annotations

from girih.spatial import distance

__all__ = ["distance"]
