"""The keys of the node's jobs: what is to be done once has one name.

``epoch`` says which index a study belongs to: a rebuilt index meets none of the old one's jobs.
"""

from __future__ import annotations


def study_key(epoch: str, study_uid: str, version: int) -> str:
    """The job that standardises one version of a study."""
    return f"study/{epoch}/{study_uid}/{version}"


def delivery_key(epoch: str, study_uid: str, destination: str, attempt: int) -> str:
    """The job that makes one attempt to bring a study's results to a destination."""
    return f"delivery/{epoch}/{study_uid}/{destination}/{attempt}"
