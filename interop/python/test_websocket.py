"""ibm-watson over a WebSocket."""

import queue
import threading
import time
import unittest

from ibm_watson.websocket import AudioSource

from material import Case, client, expected, recording, transcripts
from sessions import Session


def texts(transcription):
    return [alternatives[0]["transcript"] for alternatives in transcription]


class WithoutInterimResults(Case):
    def test_one_message_with_everything(self):
        session = Session(client()).run(recording("wav"), "audio/wav")
        # WS-R1: one results message, between the two that say "listening".
        self.assertEqual(session.names(), ["connected", "listening", "transcription", "data", "close"])
        self.assertEqual(texts(session.only("transcription")), expected("wav"))
        self.assertIn("confidence", session.only("transcription")[0][0])
        data = session.only("data")
        self.assertEqual(data["result_index"], 0)
        self.assertTrue(data["results"][0]["final"])

    def test_two_utterances(self):
        for options in ({}, {"interim_results": False, "low_latency": True, "model": "en-US_Telephony"}):
            with self.subTest(options):
                session = Session(client()).run(recording("pauses"), "audio/wav", **options)
                self.assertEqual(len(session.only("data")["results"]), 2)
        plain = Session(client()).run(recording("pauses"), "audio/wav")
        self.assertEqual(texts(plain.only("transcription")), expected("pauses"))

    def test_details(self):
        session = Session(client()).run(
            recording("wav"), "audio/wav", timestamps=True, word_confidence=True, max_alternatives=2,
            word_alternatives_threshold=0.01, keywords=["Monday", "zebra"], keywords_threshold=0.3, audio_metrics=True,
        )
        data = session.only("data")
        self.assertEqual(transcripts(data), expected("wav"))
        best = data["results"][0]["alternatives"][0]
        self.assertEqual([word for word, _, _ in best["timestamps"]], best["transcript"].split())
        self.assertEqual([word for word, _ in best["word_confidence"]], best["transcript"].split())
        self.assertEqual(set(data["results"][0]["keywords_result"]), {"Monday"})
        self.assertTrue(data["results"][0]["word_alternatives"])
        self.assertTrue(data["audio_metrics"]["accumulated"]["final"])

    def test_warnings(self):
        session = Session(client()).run(recording("wav"), "audio/wav", low_latency=True)
        self.assertIn("low_latency", " ".join(session.only("data")["warnings"]))

    def test_formats(self):
        for name, content_type in {"flac": "audio/flac", "ogg": "audio/ogg;codecs=opus", "mp3": "audio/mp3"}.items():
            with self.subTest(name):
                session = Session(client()).run(recording(name), content_type)
                self.assertEqual(texts(session.only("transcription")), expected(name))

    def test_silence(self):
        session = Session(client()).run(recording("silence"), "audio/wav")
        self.assertEqual(session.names(), ["connected", "listening", "data", "close"])
        self.assertEqual(session.only("data")["results"], [])

    def test_headers_of_the_caller(self):
        headers = {"X-Watson-Learning-Opt-Out": "1", "X-Watson-Metadata": "customer_id=someone"}
        session = Session(client()).run(recording("wav"), "audio/wav", headers=headers)
        self.assertEqual(texts(session.only("transcription")), expected("wav"))


class WithInterimResults(Case):
    def check(self, session, name):
        """WS-R5 to WS-R9 on a finished session; the final texts are those of the plain interface."""
        self.assertEqual(session.names()[:2], ["connected", "listening"])
        self.assertEqual(session.names()[-1], "close")
        messages = session.all("data")
        finals = 0
        interims = 0
        for message in messages:
            (result,) = message["results"]
            self.assertEqual(message["result_index"], finals)
            if result["final"]:
                self.assertGreater(interims, 0, "an interim result before each final one")
                self.assertIn("confidence", result["alternatives"][0])
                finals, interims = finals + 1, 0
            else:
                self.assertNotIn("confidence", result["alternatives"][0])
                interims += 1
        self.assertEqual(interims, 0, "the last one is final")
        self.assertEqual([one[0]["transcript"] for one in session.all("transcription")], expected(name))
        self.assertEqual(session.all("hypothesis"), [transcripts(message)[0] for message in messages])

    def test_one_message_for_each_result(self):
        session = Session(client()).run(recording("wav"), "audio/wav", interim_results=True)
        self.check(session, "wav")

    def test_of_telephone_models(self):
        for low_latency in (True, False):
            with self.subTest(low_latency):
                session = Session(client()).run(
                    recording("wav"), "audio/wav", interim_results=True, model="en-US_Telephony", low_latency=low_latency
                )
                self.assertTrue(all(one[0]["confidence"] is not None for one in session.all("transcription")))
                self.assertIn("monday", session.all("transcription")[0][0]["transcript"])

    def test_while_recording(self):
        """A queue that is filled as if somebody were speaking: the first sentence is there before the last byte is."""
        source = AudioSource(queue.Queue(), is_recording=True, is_buffer=True)
        session = Session(client())
        ended = []

        def speak():
            with open(recording("pauses"), "rb") as audio:
                while chunk := audio.read(6400):
                    source.input.put(chunk)
                    time.sleep(0.1)
            time.sleep(0.5)
            ended.append(time.monotonic())
            source.completed_recording()

        threading.Thread(target=speak, daemon=True).start()
        session.send(source, "audio/wav", {"interim_results": True})
        self.check(session, "pauses")
        first_final = session.times[session.names().index("transcription")]
        self.assertLess(first_final, ended[0])

    def test_silence(self):
        session = Session(client()).run(recording("silence"), "audio/wav", interim_results=True)
        self.assertEqual(session.all("transcription"), [])
        self.assertEqual(session.names()[-1], "close")


class Refusals(Case):
    def test_nobody_speaks(self):
        session = Session(client()).run(recording("silence"), "audio/wav", inactivity_timeout=2)
        self.assertTrue(session.only("inactivity").startswith("No speech detected for 2s"))
        self.assertEqual(session.all("transcription"), [])

    def test_bad_parameters(self):
        session = Session(client()).run(recording("wav"), "audio/wav", keywords=["monday"], keywords_threshold=1.1)
        self.assertEqual(session.all("error")[0], "keywords_threshold value must be between zero and one (inclusive)")
        self.assertEqual(session.all("data"), [])

    def test_unknown_model(self):
        session = Session(client()).run(recording("wav"), "audio/wav", model="xx-XX")
        self.assertEqual(session.only("error").status_code, 404)


if __name__ == "__main__":
    unittest.main()
