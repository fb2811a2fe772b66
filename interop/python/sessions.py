"""One recognize_using_websocket, with everything that happened in it."""

import threading
import time

from ibm_watson.websocket import AudioSource, RecognizeCallback

# A session of these recordings takes seconds; one that lasts this long hangs.
HANGS_AFTER = 60


class Session(RecognizeCallback):
    """Records the callbacks as (name, argument), with the time of each."""

    def __init__(self, service):
        RecognizeCallback.__init__(self)
        self.service = service
        self.events = []
        self.times = []

    def record(self, name, argument=None):
        self.times.append(time.monotonic())
        self.events.append((name, argument))

    def on_connected(self):
        self.record("connected")

    def on_listening(self):
        self.record("listening")

    def on_transcription(self, transcript):
        self.record("transcription", transcript)

    def on_hypothesis(self, hypothesis):
        self.record("hypothesis", hypothesis)

    def on_data(self, data):
        self.record("data", data)

    def on_inactivity_timeout(self, error):
        self.record("inactivity", error)

    def on_error(self, error):
        self.record("error", error)

    def on_close(self):
        # The SDK says so twice: when it closes, and when it is closed.
        if not self.events or self.events[-1][0] != "close":
            self.record("close")

    def run(self, path, content_type, **options):
        """Sends a file, and waits for the end."""
        with open(path, "rb") as audio:
            self.send(AudioSource(audio), content_type, options)
        return self

    def send(self, source, content_type, options):
        def work():
            self.service.recognize_using_websocket(
                audio=source, content_type=content_type, recognize_callback=self, **options
            )

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        thread.join(HANGS_AFTER)
        if thread.is_alive():
            raise AssertionError(f"the session did not end; it had {self.events}")

    def names(self):
        """Which callbacks there were, in order."""
        return [name for name, _ in self.events]

    def all(self, name):
        """The arguments of every callback of this name."""
        return [argument for event, argument in self.events if event == name]

    def only(self, name):
        """The argument of the one callback of this name."""
        found = self.all(name)
        if len(found) != 1:
            raise AssertionError(f"{len(found)} of {name}: {self.events}")
        return found[0]
