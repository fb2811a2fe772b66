"""What the tests work with, as crates/cli/tests/interop lays it out, and clients for it."""

import json
import os
import unittest

from ibm_cloud_sdk_core import ApiException
from ibm_cloud_sdk_core.authenticators import BasicAuthenticator
from ibm_watson import SpeechToTextV1

with open(os.environ["INTEROP_MATERIAL"], encoding="utf-8") as file:
    MATERIAL = json.load(file)

URL = MATERIAL["url"]
KEY = MATERIAL["key"]


def client(authenticator=None, url=URL):
    """A client as its documentation shows it: an authenticator, the URL, and no verification of the self-made certificate."""
    service = SpeechToTextV1(authenticator=authenticator or BasicAuthenticator("apikey", KEY))
    service.set_service_url(url)
    service.set_disable_ssl_verification(True)
    return service


def recording(name):
    """Path of a recording; skips the test when it could not be made here."""
    if name not in MATERIAL["recordings"]:
        raise unittest.SkipTest(f"no {name}: nothing here to make it with")
    return MATERIAL["recordings"][name]["path"]


def expected(name):
    """Transcripts that a plain POST /v1/recognize gave for a recording, one for each result."""
    recording(name)
    return MATERIAL["recordings"][name]["transcripts"]


def transcripts(document):
    """First choice of every result of a results document."""
    return [result["alternatives"][0]["transcript"] for result in document["results"]]


class Case(unittest.TestCase):
    """What all tests ask."""

    maxDiff = None

    def refused(self, code, call, *arguments, **options):
        """The exception of a refused call, which has all that the SDK makes of an error."""
        with self.assertRaises(ApiException) as caught:
            call(*arguments, **options)
        error = caught.exception
        self.assertEqual(error.code, code, error)
        transaction = error.http_response.headers["X-Global-Transaction-Id"]
        self.assertTrue(transaction)
        self.assertEqual(error.global_transaction_id, transaction)
        self.assertIn(f"X-global-transaction-id: {transaction}", str(error))
        self.assertEqual(error.http_response.headers["Content-Type"].split(";")[0], "application/json")
        return error

    def refused_speech(self, code, call, *arguments, **options):
        """The same of the speech interface, whose errors name their code and its meaning (errors.md)."""
        error = self.refused(code, call, *arguments, **options)
        body = error.http_response.json()
        self.assertEqual(body["code"], code)
        self.assertEqual(body["error"], error.message)
        self.assertTrue(body["code_description"])
        return error
