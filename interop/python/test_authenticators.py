"""Every authenticator of the SDK that a server of one's own can serve, over HTTP and for the WebSocket."""

import os
import unittest
from unittest.mock import patch

import jwt
from ibm_cloud_sdk_core.authenticators import (
    BasicAuthenticator,
    BearerTokenAuthenticator,
    CloudPakForDataAuthenticator,
    IAMAuthenticator,
    NoAuthAuthenticator,
)
from ibm_watson import SpeechToTextV1

from material import KEY, MATERIAL, URL, Case, client, expected, recording, transcripts
from sessions import Session


def works(case, authenticator, url=URL):
    """Recognises over HTTP and over a WebSocket."""
    service = client(authenticator, url)
    with open(recording("wav"), "rb") as audio:
        result = service.recognize(audio=audio, content_type="audio/wav").get_result()
    case.assertEqual(transcripts(result), expected("wav"))
    if url.startswith("https:"):
        session = Session(service).run(recording("wav"), "audio/wav")
        case.assertEqual([one[0]["transcript"] for one in session.only("transcription")], expected("wav"))


class Authenticators(Case):
    def refused_everywhere(self, authenticator):
        service = client(authenticator)
        self.refused_speech(401, service.list_models)
        session = Session(service).run(recording("wav"), "audio/wav")
        self.assertEqual([name for name, _ in session.events], ["error", "close"])
        self.assertEqual(session.only("error").status_code, 401)

    def test_none(self):
        works(self, NoAuthAuthenticator(), MATERIAL["open_url"])
        self.refused_everywhere(NoAuthAuthenticator())

    def test_basic(self):
        works(self, BasicAuthenticator("apikey", KEY))
        self.refused_everywhere(BasicAuthenticator("apikey", MATERIAL["revoked_key"]))

    def test_bearer(self):
        token = IAMAuthenticator(KEY, url=URL, disable_ssl_verification=True).token_manager.get_token()
        works(self, BearerTokenAuthenticator(token))
        works(self, BearerTokenAuthenticator(KEY))
        header, payload, signature = token.split(".")
        self.refused_everywhere(BearerTokenAuthenticator(f"{header}.{payload}.{signature[::-1]}"))

    def test_iam(self):
        authenticator = IAMAuthenticator(KEY, url=URL, disable_ssl_verification=True)
        works(self, authenticator)
        token = authenticator.token_manager.get_token()
        claims = jwt.decode(token, options={"verify_signature": False})
        self.assertGreater(claims["exp"], claims["iat"])
        self.assertEqual(authenticator.token_manager.get_token(), token, "kept while it is good")

    def test_iam_with_a_wrong_key(self):
        service = client(IAMAuthenticator("nobody's key", url=URL, disable_ssl_verification=True))
        error = self.refused(400, service.list_models)
        self.assertEqual(error.message, "Provided API key could not be found.")

    def test_cloud_pak_for_data(self):
        for url in (URL, URL + "/icp4d-api"):
            works(self, CloudPakForDataAuthenticator("somebody", url=url, apikey=KEY, disable_ssl_verification=True))
        works(self, CloudPakForDataAuthenticator("somebody", KEY, url, disable_ssl_verification=True))

    def test_cloud_pak_for_data_with_a_wrong_password(self):
        wrong = CloudPakForDataAuthenticator("somebody", "password", URL, disable_ssl_verification=True)
        self.refused(401, client(wrong).list_models)

    def test_settings_from_the_environment(self):
        """As deployments set them, so that not even the URL is in the code."""
        settings = {
            "SPEECH_TO_TEXT_URL": URL,
            "SPEECH_TO_TEXT_AUTH_TYPE": "iam",
            "SPEECH_TO_TEXT_APIKEY": KEY,
            "SPEECH_TO_TEXT_AUTH_URL": URL,
            "SPEECH_TO_TEXT_AUTH_DISABLE_SSL": "true",
            "SPEECH_TO_TEXT_DISABLE_SSL": "true",
        }
        with patch.dict(os.environ, settings):
            service = SpeechToTextV1()
        self.assertTrue(service.list_models().get_result()["models"])

    def test_with_the_certificate_verified(self):
        service = SpeechToTextV1(authenticator=BasicAuthenticator("apikey", KEY))
        service.set_service_url(URL)
        service.set_http_config({"verify": MATERIAL["authority"]})
        self.assertTrue(service.list_models().get_result()["models"])


if __name__ == "__main__":
    unittest.main()
