"""The simulated network behind the sandbox: people, groups, posts, blobs, clock. Nothing of any platform in it."""

from yizhan.world.blobs import Blob, Blobs
from yizhan.world.clock import TurnableClock
from yizhan.world.populate import populate
from yizhan.world.world import Group, Network, Person, Post, World

__all__ = ["Blob", "Blobs", "Group", "Network", "Person", "Post", "TurnableClock", "World", "populate"]
