"""ibm-watson over HTTP: models, recognition, errors, headers."""

import unittest
import wave

from material import URL, Case, client, expected, recording, transcripts


class Models(Case):
    def test_list_models(self):
        models = client().list_models().get_result()["models"]
        names = [model["name"] for model in models]
        self.assertIn("en-US_BroadbandModel", names)
        self.assertIn("en-US_Telephony", names)
        for model in models:
            self.assertEqual(model["url"], f"{URL}/v1/models/{model['name']}")
            self.assertIn(model["rate"], (8000, 16000))

    def test_get_model(self):
        response = client().get_model("en-US_Telephony")
        self.assertEqual(response.get_status_code(), 200)
        model = response.get_result()
        self.assertEqual((model["name"], model["language"], model["rate"]), ("en-US_Telephony", "en-US", 8000))
        self.assertIn("custom_language_model", model["supported_features"])

    def test_get_model_unknown(self):
        error = self.refused_speech(404, client().get_model, "bogus/../model name")
        self.assertTrue(error.message)


class Recognize(Case):
    def test_file(self):
        with open(recording("wav"), "rb") as audio:
            response = client().recognize(audio=audio, content_type="audio/wav")
        self.assertEqual(response.get_status_code(), 200)
        result = response.get_result()
        self.assertEqual(transcripts(result), expected("wav"))
        self.assertEqual(result["result_index"], 0)
        self.assertTrue(result["results"][0]["final"])
        self.assertTrue(0 <= result["results"][0]["alternatives"][0]["confidence"] <= 1)
        self.assertTrue(transcripts(result)[0].endswith(" "), "a transcript ends with a space")

    def test_bytes_without_a_content_type(self):
        with open(recording("wav"), "rb") as audio:
            result = client().recognize(audio=audio.read()).get_result()
        self.assertEqual(transcripts(result), expected("wav"))

    def test_generator(self):
        """Sent in chunks, of a length that nobody knows beforehand."""

        def chunks():
            with open(recording("wav"), "rb") as audio:
                while chunk := audio.read(3001):
                    yield chunk

        result = client().recognize(audio=chunks(), content_type="audio/wav").get_result()
        self.assertEqual(transcripts(result), expected("wav"))

    def test_compressed_by_the_client(self):
        service = client()
        service.set_enable_gzip_compression(True)
        with open(recording("wav"), "rb") as audio:
            result = service.recognize(audio=audio, content_type="audio/wav").get_result()
        self.assertEqual(transcripts(result), expected("wav"))

    def test_formats(self):
        types = {"flac": "audio/flac", "ogg": "audio/ogg;codecs=opus", "mp3": "audio/mp3", "webm": "audio/webm;codecs=opus"}
        for name, content_type in types.items():
            with self.subTest(name), open(recording(name), "rb") as audio:
                result = client().recognize(audio=audio, content_type=content_type).get_result()
                self.assertEqual(transcripts(result), expected(name))

    def test_raw_samples(self):
        with wave.open(recording("wav")) as audio:
            rate, samples = audio.getframerate(), audio.readframes(audio.getnframes())
        result = client().recognize(audio=samples, content_type=f"audio/l16; rate={rate}; endianness=little-endian")
        self.assertEqual(transcripts(result.get_result()), expected("wav"))

    def test_person(self):
        """A recorded person, where there are recordings."""
        with open(recording("person"), "rb") as audio:
            result = client().recognize(audio=audio, content_type="audio/flac").get_result()
        self.assertEqual(transcripts(result), expected("person"))

    def test_words(self):
        with open(recording("wav"), "rb") as audio:
            result = client().recognize(
                audio=audio, content_type="audio/wav", model="en-US_BroadbandModel", timestamps=True, word_confidence=True,
                max_alternatives=3, word_alternatives_threshold=0.01, keywords=["Monday", "come back", "zebra"],
                keywords_threshold=0.3, audio_metrics=True, inactivity_timeout=-1, smart_formatting=False,
                profanity_filter=False, background_audio_suppression=0.0, speech_detector_sensitivity=0.5,
            ).get_result()
        self.assertEqual(transcripts(result), expected("wav"))
        heard = result["results"][0]
        best, *others = heard["alternatives"]
        words = best["transcript"].split()
        self.assertEqual([word for word, _, _ in best["timestamps"]], words)
        times = [time for _, begin, end in best["timestamps"] for time in (begin, end)]
        self.assertEqual(times, sorted(times))
        self.assertEqual([word for word, _ in best["word_confidence"]], words)
        self.assertTrue(1 <= len(others) <= 2)
        self.assertTrue(all("confidence" not in other and other["transcript"] != best["transcript"] for other in others))
        self.assertEqual(set(heard["keywords_result"]), {"Monday", "come back"}, "named as they were asked for")
        found = heard["keywords_result"]["Monday"][0]
        self.assertEqual(found["normalized_text"], "monday")
        self.assertIn(["monday", found["start_time"], found["end_time"]], best["timestamps"])
        self.assertTrue(heard["word_alternatives"][0]["alternatives"][0]["confidence"] >= 0.01)
        self.assertTrue(result["audio_metrics"]["accumulated"]["final"])

    def test_pauses(self):
        def results(**options):
            with open(recording("pauses"), "rb") as audio:
                return transcripts(client().recognize(audio=audio, content_type="audio/wav", **options).get_result())

        self.assertEqual(results(), expected("pauses"))
        self.assertEqual(len(results()), 2)
        self.assertEqual(len(results(end_of_phrase_silence_time=5.0)), 1)

    def test_silence(self):
        with open(recording("silence"), "rb") as audio:
            result = client().recognize(audio=audio, content_type="audio/wav").get_result()
        self.assertEqual(result["results"], [])

    def test_telephone_model(self):
        with open(recording("wav"), "rb") as audio:
            result = client().recognize(audio=audio, content_type="audio/wav", model="en-US_Telephony", low_latency=True)
        self.assertIn("monday", transcripts(result.get_result())[0])


    def test_warnings(self):
        """A parameter that the model does not know does no harm, and is told of."""
        with open(recording("wav"), "rb") as audio:
            result = client().recognize(audio=audio, content_type="audio/wav", low_latency=True).get_result()
        self.assertEqual(transcripts(result), expected("wav"))
        self.assertIn("low_latency", " ".join(result["warnings"]))


class Refusals(Case):
    def recognize(self, **options):
        with open(recording("wav"), "rb") as audio:
            options.setdefault("audio", audio)
            options.setdefault("content_type", "audio/wav")
            return client().recognize(**options)

    def test_unknown_model(self):
        self.assertIn("xx-XX", self.refused_speech(404, self.recognize, model="xx-XX").message)

    def test_bad_parameters(self):
        error = self.refused_speech(400, self.recognize, keywords_threshold=1.1, keywords=["monday"])
        self.assertEqual(error.message, "keywords_threshold value must be between zero and one (inclusive)")
        self.refused_speech(400, self.recognize, language_customization_id="not an id")

    def test_bad_audio(self):
        error = self.refused_speech(400, self.recognize, audio=b"x" * 66)
        self.assertIn("66 bytes", error.message)
        self.refused_speech(415, self.recognize, content_type="text/plain")


class Headers(Case):
    def test_headers_of_the_caller(self):
        headers = {
            "X-Watson-Learning-Opt-Out": "1",
            "X-Watson-Metadata": "customer_id=someone",
            "X-Global-Transaction-Id": "our-own-id",
            "X-Watson-Test": "1",
        }
        service = client()
        service.set_default_headers({"X-Somebodys-Header": "some value"})
        with open(recording("wav"), "rb") as audio:
            response = service.recognize(audio=audio, content_type="audio/wav", headers=headers)
        self.assertEqual(transcripts(response.get_result()), expected("wav"))
        self.assertEqual(response.get_headers()["X-Global-Transaction-Id"], "our-own-id")
        self.assertEqual(response.get_headers()["X-DP-Watson-Tran-ID"], "our-own-id")

    def test_prefixes(self):
        for prefix in ("/", "/instances/1234", "/speech-to-text/api", "/speech-to-text/wd/instances/1234/api"):
            with self.subTest(prefix):
                model = client(url=URL + prefix).get_model("en-US_BroadbandModel").get_result()
                self.assertEqual(model["url"], f"{URL}{prefix.rstrip('/')}/v1/models/en-US_BroadbandModel")


if __name__ == "__main__":
    unittest.main()
