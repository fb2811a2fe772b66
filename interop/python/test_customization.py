"""ibm-watson: custom language models from words, corpora and grammars, and recognition with them."""

import io
import time
import unittest

from material import MATERIAL, Case, client, expected, recording, transcripts

GIVES_UP_AFTER = 60
GRAMMAR = f"""#ABNF 1.0 ISO-8859-1;
language en-US;
mode voice;
root $trip;
$trip = {MATERIAL["said"]} | nothing at all ;
"""


class Customization(Case):
    def setUp(self):
        self.service = client()
        made = self.service.create_language_model("Travel", "en-US_BroadbandModel", description="for travellers")
        self.assertEqual(made.get_status_code(), 201)
        self.model = made.get_result()["customization_id"]
        self.addCleanup(self.service.delete_language_model, self.model)

    def until(self, call, unfinished, finished):
        until = time.monotonic() + GIVES_UP_AFTER
        while (found := call().get_result())["status"] in unfinished:
            self.assertLess(time.monotonic(), until, found)
            time.sleep(0.05)
        self.assertEqual(found["status"], finished, found)
        return found

    def status(self):
        return self.service.get_language_model(self.model)

    def corpus(self, name, text):
        added = self.service.add_corpus(self.model, name, io.BytesIO(text.encode()))
        self.assertEqual((added.get_status_code(), added.get_result()), (201, {}))
        return self.until(lambda: self.service.get_corpus(self.model, name), ["being_processed"], "analyzed")

    def train(self, **options):
        self.assertEqual(self.service.train_language_model(self.model, **options).get_status_code(), 200)
        self.until(self.status, ["training"], "available")

    def heard(self, **options):
        with open(recording("wav"), "rb") as audio:
            options.setdefault("language_customization_id", self.model)
            return self.service.recognize(audio=audio, content_type="audio/wav", **options).get_result()

    def test_words(self):
        self.refused_speech(400, self.heard)
        words = [{"word": "monday", "display_as": "MoonDay"}, {"word": "hhonors", "sounds_like": ["hilton honors"]}]
        self.assertEqual(self.service.add_words(self.model, words).get_status_code(), 201)
        added = self.service.add_word(self.model, "ieee", sounds_like=["i triple e"], display_as="IEEE")
        self.assertEqual(added.get_status_code(), 201)
        self.until(self.status, ["pending"], "ready")
        found = self.service.list_words(self.model, word_type="user", sort="+alphabetical").get_result()["words"]
        self.assertEqual([word["word"] for word in found], ["hhonors", "ieee", "monday"])
        self.assertEqual(self.service.get_word(self.model, "ieee").get_result()["display_as"], "IEEE")
        self.train(customization_weight=0.5)
        self.assertIn("MoonDay", transcripts(self.heard())[0])
        self.assertEqual(transcripts(self.heard(customization_weight=0.0)), expected("wav"))
        self.assertEqual(self.service.delete_word(self.model, "ieee").get_status_code(), 200)
        self.refused_speech(400, self.service.get_word, self.model, "ieee")

    def test_corpora(self):
        text = f"{MATERIAL['said']}.\nThe zyzzyva sleeps on Friday.\n"
        found = self.corpus("trips to town", text)
        self.assertEqual((found["total_words"], found["out_of_vocabulary_words"]), (len(text.split()), 1))
        again = self.refused_speech(400, self.service.add_corpus, self.model, "trips to town", io.BytesIO(b"again"))
        self.assertIn("allow_overwrite", again.message)
        words = self.service.list_words(self.model, word_type="corpora").get_result()["words"]
        self.assertEqual([(word["word"], word["source"]) for word in words], [("zyzzyva", ["trips to town"])])
        self.train(word_type_to_add="all", strict=True)
        self.refused_speech(400, self.service.train_language_model, self.model)
        self.train(force=True)
        self.assertTrue(self.heard()["results"])
        self.assertEqual(len(self.service.list_corpora(self.model).get_result()["corpora"]), 1)
        self.assertEqual(self.service.delete_corpus(self.model, "trips to town").get_status_code(), 200)
        self.assertEqual(self.service.reset_language_model(self.model).get_status_code(), 200)
        self.assertEqual(self.status().get_result()["status"], "pending")

    def test_grammars(self):
        added = self.service.add_grammar(self.model, "trip", io.BytesIO(GRAMMAR.encode()), "application/srgs")
        self.assertEqual((added.get_status_code(), added.get_result()), (201, {}))
        self.until(lambda: self.service.get_grammar(self.model, "trip"), ["being_processed"], "analyzed")
        self.train()
        said = transcripts(self.heard(grammar_name="trip"))
        self.assertEqual(" ".join(said).split(), MATERIAL["said"].split())
        self.refused_speech(400, self.heard, grammar_name="no such grammar")
        self.assertEqual(self.service.delete_grammar(self.model, "trip").get_status_code(), 200)
        self.assertEqual(self.service.list_grammars(self.model).get_result(), {"grammars": []})

    def test_models(self):
        listed = self.service.list_language_models(language="en-US").get_result()["customizations"]
        mine = next(model for model in listed if model["customization_id"] == self.model)
        self.assertEqual((mine["name"], mine["status"], mine["progress"]), ("Travel", "pending", 0))
        other = self.service.create_language_model("Other", "en-US_BroadbandModel").get_result()["customization_id"]
        self.assertEqual(self.service.delete_language_model(other).get_status_code(), 200)
        gone = self.refused(401, self.service.delete_language_model, other)
        self.assertTrue(gone.message)
        self.refused_speech(400, self.service.get_language_model, "not an id")
        self.refused_speech(400, self.service.create_language_model, "Travel", "xx-XX_BroadbandModel")
        self.refused_speech(400, self.service.upgrade_language_model, self.model)


if __name__ == "__main__":
    unittest.main()
