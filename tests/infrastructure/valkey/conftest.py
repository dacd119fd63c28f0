"""One real cluster for the tests of a module."""

from tests.valkey_cluster import cluster as cluster
