"""Random sequences of pushes, deletions and collections, beside a model that says what has to be there."""

import json

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from registry_server import INDEX, MANIFEST, digest_of, index_of, manifest_of
from wherry.registry.checking import check
from wherry.registry.collecting import collect

REPOSITORIES = st.sampled_from(["a", "b/c"])
CONTENTS = st.sampled_from([bytes([letter]) * 5 for letter in range(6)])
TAGS = st.sampled_from(["one", "two", "three"])
HOUR = 3600 * 1_000_000_000


class Model:
    """What the specification lets a client expect."""

    def __init__(self):
        self.blobs = {}  # (repository, digest): when it was last counted on
        self.manifests = {}  # (repository, digest): (bytes, blobs, manifests)
        self.tags = {}  # (repository, tag): digest

    def holds(self, repository, digest):
        return any(each == repository and digest in blobs for (each, _), (_, blobs, _) in self.manifests.items())


def machine_of(make_registry):
    class Machine(RuleBasedStateMachine):
        def __init__(self):
            super().__init__()
            self.registry, self.model = make_registry(), Model()

        def teardown(self):
            problems = list(check(self.registry.catalog, self.registry.storage))
            assert problems == []

        @rule(repository=REPOSITORIES, data=CONTENTS)
        def push_blob(self, repository, data):
            answer = self.registry("POST", f"/v2/{repository}/blobs/uploads/?digest={digest_of(data)}", data)
            assert answer.status == 201
            self.model.blobs[repository, digest_of(data)] = self.registry.now

        @rule(repository=REPOSITORIES, source=REPOSITORIES, data=CONTENTS)
        def mount(self, repository, source, data):
            digest = digest_of(data)
            answer = self.registry("POST", f"/v2/{repository}/blobs/uploads/?mount={digest}&from={source}")
            assert answer.status == (201 if (source, digest) in self.model.blobs else 202)
            if answer.status == 201:
                self.model.blobs[repository, digest] = self.registry.now

        @rule(repository=REPOSITORIES, config=CONTENTS, layers=st.lists(CONTENTS, max_size=2), tag=TAGS)
        def push_image(self, repository, config, layers, tag):
            data = manifest_of(config, layers)
            needed = {digest_of(each) for each in (config, *layers)}
            answer = self.registry("PUT", f"/v2/{repository}/manifests/{tag}", data, {"Content-Type": MANIFEST})
            complete = all((repository, each) in self.model.blobs for each in needed)
            assert answer.status == (201 if complete else 404)
            if complete:
                self.model.manifests.setdefault((repository, digest_of(data)), (data, needed, set()))
                self.model.tags[repository, tag] = digest_of(data)

        @precondition(lambda self: self.model.manifests)
        @rule(data=st.data(), tag=TAGS)
        def push_index(self, data, tag):
            repository, digest = data.draw(st.sampled_from(sorted(self.model.manifests)))
            index = index_of(self.model.manifests[repository, digest][0])
            answer = self.registry("PUT", f"/v2/{repository}/manifests/{tag}", index, {"Content-Type": INDEX})
            assert answer.status == 201
            self.model.manifests.setdefault((repository, digest_of(index)), (index, set(), {digest}))
            self.model.tags[repository, tag] = digest_of(index)

        @rule(repository=REPOSITORIES, tag=TAGS)
        def delete_tag(self, repository, tag):
            answer = self.registry("DELETE", f"/v2/{repository}/manifests/{tag}")
            assert answer.status == (202 if (repository, tag) in self.model.tags else 404)
            self.model.tags.pop((repository, tag), None)

        @precondition(lambda self: self.model.manifests)
        @rule(data=st.data())
        def delete_manifest(self, data):
            repository, digest = data.draw(st.sampled_from(sorted(self.model.manifests)))
            assert self.registry("DELETE", f"/v2/{repository}/manifests/{digest}").status == 202
            del self.model.manifests[repository, digest]
            for name in [name for name, value in self.model.tags.items() if (name[0], value) == (repository, digest)]:
                del self.model.tags[name]

        @rule(repository=REPOSITORIES, data=CONTENTS)
        def delete_blob(self, repository, data):
            digest = digest_of(data)
            answer = self.registry("DELETE", f"/v2/{repository}/blobs/{digest}")
            if (repository, digest) not in self.model.blobs:
                assert answer.status == 404
            elif self.model.holds(repository, digest):
                assert answer.status == 405
            else:
                assert answer.status == 202
                del self.model.blobs[repository, digest]

        @rule(untagged=st.booleans(), grace=st.sampled_from([0, 2]))
        def collect(self, untagged, grace):
            before = self.registry.now - grace * HOUR
            collect(self.registry.catalog, self.registry.storage, before, untagged=untagged and not grace)
            if untagged and not grace:
                self._forget_untagged()
            for name in [name for name, touched in self.model.blobs.items() if touched < before]:
                if not self.model.holds(*name):
                    del self.model.blobs[name]
            if not grace:
                held = {digest for _, digest in self.model.blobs}
                assert {digest for digest, _ in self.registry.storage.digests()} == held

        def _forget_untagged(self):
            manifests = self.model.manifests
            while True:
                tagged = {(repository, digest) for (repository, _), digest in self.model.tags.items()}
                listed = {(name[0], child) for name, (_, _, children) in manifests.items() for child in children}
                gone = set(manifests) - tagged - listed
                if not gone:
                    return
                for name in gone:
                    del manifests[name]

        @rule(hours=st.integers(1, 3))
        def time_passes(self, hours):
            self.registry.now += hours * HOUR

        @invariant()
        def everything_is_there(self):
            self.registry.now += 1
            for (repository, digest), (data, blobs, _) in self.model.manifests.items():
                answer = self.registry("GET", f"/v2/{repository}/manifests/{digest}")
                assert (answer.status, answer.body) == (200, data)
                for blob in blobs:
                    assert digest_of(self.registry("GET", f"/v2/{repository}/blobs/{blob}").body) == blob
            for repository in ("a", "b/c"):
                answer = self.registry("GET", f"/v2/{repository}/tags/list")
                tags = sorted(tag for name, tag in self.model.tags if name == repository)
                assert (json.loads(answer.body).get("tags") or []) == tags
                for tag in tags:
                    answer = self.registry("GET", f"/v2/{repository}/manifests/{tag}")
                    assert answer.headers["docker-content-digest"] == self.model.tags[repository, tag]
            for repository, digest in self.model.blobs:
                assert self.registry("GET", f"/v2/{repository}/blobs/{digest}").status == 200

    return Machine


def test_any_sequence_of_pushes_deletions_and_collections(make_registry):
    run_state_machine_as_test(
        machine_of(make_registry),
        settings=settings(
            max_examples=25, stateful_step_count=40, suppress_health_check=list(HealthCheck), deadline=None
        ),
    )
