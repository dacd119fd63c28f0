"""The conformance suite of the `eventsourcing` library, run over our persistence module."""

import tempfile
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from eventsourcing.persistence import Tracking
from eventsourcing.tests.application import ApplicationTestCase, ExampleApplicationTestCase
from eventsourcing.tests.persistence import (
    AggregateRecorderTestCase,
    ApplicationRecorderTestCase,
    InfrastructureFactoryTestCase,
    NonInterleavingNotificationIDsBaseCase,
    ProcessRecorderTestCase,
    TrackingRecorderTestCase,
)
from eventsourcing.tests.projection import (
    AggregateEventCountersProjectionTestCase,
    EventCountersView,
    EventCountersViewTestCase,
    EventSourcedProjectionTestCase,
)
from eventsourcing.utils import Environment

from application.ports.event_store import ANY_VERSION, NewEvent, StreamAppend
from infrastructure.eventlog.recorder import DIRECTORY_VARIABLE, Factory
from infrastructure.eventlog.recorders import (
    LogApplicationRecorder,
    LogProcessRecorder,
    LogTrackingRecorder,
)
from infrastructure.eventlog.store import EventLog
from infrastructure.eventlog.stored_events import LogAggregateRecorder

# The suite tests the library's deprecated names too.
pytestmark = pytest.mark.filterwarnings("default::DeprecationWarning")


class WithLog:
    """A log in a temporary directory."""

    def open_log(self: Any) -> EventLog:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        log = EventLog.open(Path(folder.name) / "log")
        self.addCleanup(log.close)
        return log


class TestAggregateRecorder(WithLog, AggregateRecorderTestCase):
    def create_recorder(self) -> Any:
        return LogAggregateRecorder(self.open_log())


class TestApplicationRecorder(WithLog, ApplicationRecorderTestCase):
    def create_recorder(self) -> Any:
        return LogApplicationRecorder(self.open_log())

    def test_insert_subscribe(self) -> None:
        self.optional_test_insert_subscribe()


class TestProcessRecorderAsApplicationRecorder(WithLog, ApplicationRecorderTestCase):
    def create_recorder(self) -> Any:
        return LogProcessRecorder(self.open_log())

    def test_insert_subscribe(self) -> None:
        self.optional_test_insert_subscribe()


class TestTrackingRecorder(WithLog, TrackingRecorderTestCase):
    def create_recorder(self) -> Any:
        return LogTrackingRecorder(self.open_log())


class TestProcessRecorder(WithLog, ProcessRecorderTestCase):
    def create_recorder(self) -> Any:
        return LogProcessRecorder(self.open_log())


class TestNonInterleaving(WithLog, NonInterleavingNotificationIDsBaseCase):
    insert_num = 1000

    def create_recorder(self) -> Any:
        return LogApplicationRecorder(self.open_log())


class TestNonInterleavingOfAProcessRecorder(TestNonInterleaving):
    def create_recorder(self) -> Any:
        return LogProcessRecorder(self.open_log())


class OwnTrackingRecorder(LogTrackingRecorder):
    """A subclass, as applications with views of their own have."""


class TestFactory(InfrastructureFactoryTestCase[Factory]):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.env = Environment("TestCase", {DIRECTORY_VARIABLE: folder.name})
        self.env["PERSISTENCE_MODULE"] = Factory.__module__
        super().setUp()

    def tearDown(self) -> None:
        self.factory.close()
        super().tearDown()

    def expected_factory_class(self) -> Any:
        return Factory

    def expected_aggregate_recorder_class(self) -> Any:
        return LogAggregateRecorder

    def expected_application_recorder_class(self) -> Any:
        return LogApplicationRecorder

    def expected_tracking_recorder_class(self) -> Any:
        return LogTrackingRecorder

    def expected_process_recorder_class(self) -> Any:
        return LogProcessRecorder

    def tracking_recorder_subclass(self) -> Any:
        return OwnTrackingRecorder


class WithEnvironment:
    """Applications that find our module by PERSISTENCE_MODULE alone."""

    expected_factory_topic = "infrastructure.eventlog.recorder:Factory"

    def setUp(self: Any) -> None:
        import os

        super().setUp()  # type: ignore[misc]
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        os.environ["PERSISTENCE_MODULE"] = Factory.__module__
        os.environ[DIRECTORY_VARIABLE] = folder.name

    def tearDown(self: Any) -> None:
        import os

        os.environ.pop("PERSISTENCE_MODULE", None)
        os.environ.pop(DIRECTORY_VARIABLE, None)
        super().tearDown()  # type: ignore[misc]


class WithModuleAlone:
    """Applications for which PERSISTENCE_MODULE is set and nothing else."""

    def setUp(self: Any) -> None:
        super().setUp()  # type: ignore[misc]
        patch = pytest.MonkeyPatch()
        self.addCleanup(patch.undo)
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        patch.chdir(folder.name)
        patch.setenv("PERSISTENCE_MODULE", Factory.__module__)
        patch.delenv(DIRECTORY_VARIABLE, raising=False)


class TestExampleApplication(WithEnvironment, ExampleApplicationTestCase):
    pass


class TestApplication(WithEnvironment, ApplicationTestCase):
    pass


class CountersInALog(LogTrackingRecorder, EventCountersView):
    """A view in the log itself: an event and its tracking are one atomic batch."""

    def _count(self, stream: str, tracking: Tracking) -> None:
        counted = StreamAppend(stream, ANY_VERSION, [NewEvent("counted.v1", b"", b"")])
        self.append([self._track(tracking), counted])

    def get_created_event_counter(self) -> int:
        return self.log.stream_version("created") + 1

    def get_subsequent_event_counter(self) -> int:
        return self.log.stream_version("subsequent") + 1

    def incr_created_event_counter(self, tracking: Tracking) -> None:
        self._count("created", tracking)

    def incr_subsequent_event_counter(self, tracking: Tracking) -> None:
        self._count("subsequent", tracking)


class TestView(WithLog, EventCountersViewTestCase):
    def construct_event_counters_view(self) -> Any:
        return CountersInALog(self.open_log())


class TestProjection(WithEnvironment, AggregateEventCountersProjectionTestCase):
    view_class = CountersInALog


class TestEventSourcedProjection(WithModuleAlone, EventSourcedProjectionTestCase):
    pass


def test_a_restart_keeps_events_and_tracking(tmp_path: Path) -> None:
    from eventsourcing.persistence import StoredEvent

    originator: UUID = uuid4()
    events = [StoredEvent(originator, 1, "topic", b"state")]
    with EventLog.open(tmp_path) as log:
        recorder = LogProcessRecorder(log)
        recorder.insert_events(events, tracking=Tracking("upstream", 21))
        recorder.insert_events([], tracking=Tracking("upstream", 22))
    with EventLog.open(tmp_path) as log:
        recorder = LogProcessRecorder(log)
        assert list(recorder.select_events(originator)) == events
        assert recorder.max_tracking_id("upstream") == 22
        assert recorder.max_notification_id() == 2


def test_a_subscription_is_woken_by_another_recorder_of_the_same_log(tmp_path: Path) -> None:
    from eventsourcing.persistence import StoredEvent

    with EventLog.open(tmp_path) as log:
        reading, writing = LogApplicationRecorder(log), LogProcessRecorder(log)
        with reading.subscribe() as subscription:
            writing.insert_events([], tracking=Tracking("upstream", 1))
            writing.insert_events([StoredEvent(uuid4(), 1, "topic", b"state")])
            assert next(subscription).id == 2
        for number in range(2, 1_200):
            writing.insert_events([], tracking=Tracking("upstream", number))
        assert writing.max_notification_id() == 2


# The library's base classes are abstract suites: only the classes above are to be run.
del (
    AggregateEventCountersProjectionTestCase,
    EventCountersViewTestCase,
    EventSourcedProjectionTestCase,
    AggregateRecorderTestCase,
    ApplicationRecorderTestCase,
    ApplicationTestCase,
    ExampleApplicationTestCase,
    InfrastructureFactoryTestCase,
    NonInterleavingNotificationIDsBaseCase,
    ProcessRecorderTestCase,
    TrackingRecorderTestCase,
)
