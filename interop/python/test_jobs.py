"""ibm-watson: callbacks, jobs, deletion of user data."""

import time
import unittest

from hook import GIVES_UP_AFTER, Hook
from material import URL, Case, client, expected, recording, transcripts

SECRET = "ThisIsMySecret"


class Jobs(Case):
    def create(self, **options):
        with open(recording("wav"), "rb") as audio:
            response = client().create_job(audio=audio, content_type="audio/wav", **options)
        self.assertEqual(response.get_status_code(), 201)
        job = response.get_result()
        self.assertEqual(job["url"], f"{URL}/v1/recognitions/{job['id']}")
        return job

    def ended(self, job):
        until = time.monotonic() + GIVES_UP_AFTER
        while time.monotonic() < until:
            found = client().check_job(job["id"]).get_result()
            if found["status"] in ("completed", "failed"):
                return found
            time.sleep(0.05)
        self.fail("the job did not end")

    def test_with_a_callback(self):
        hook = Hook(SECRET)
        self.addCleanup(hook.close)
        registered = client().register_callback(hook.url, user_secret=SECRET)
        self.assertEqual(registered.get_status_code(), 201)
        self.assertEqual(registered.get_result(), {"status": "created", "url": hook.url})
        again = client().register_callback(hook.url, user_secret=SECRET)
        self.assertEqual(again.get_status_code(), 200)
        self.assertEqual(again.get_result()["status"], "already created")
        job = self.create(
            callback_url=hook.url,
            events="recognitions.started,recognitions.completed_with_results",
            user_token="job25",
            results_ttl=5,
            timestamps=True,
        )
        self.assertNotIn("warnings", job)
        started, completed = hook.wait_for(2)
        self.assertEqual(started, {"id": job["id"], "event": "recognitions.started", "user_token": "job25"})
        self.assertEqual(completed["event"], "recognitions.completed_with_results")
        self.assertEqual(transcripts(completed["results"][0]), expected("wav"))
        found = self.ended(job)
        self.assertEqual(found["results"], completed["results"])
        self.assertIn("timestamps", found["results"][0]["results"][0]["alternatives"][0])
        listed = client().check_jobs().get_result()["recognitions"]
        mine = next(entry for entry in listed if entry["id"] == job["id"])
        self.assertEqual((mine["status"], mine["user_token"]), ("completed", "job25"))
        self.assertEqual(client().unregister_callback(hook.url).get_status_code(), 200)
        self.refused_speech(404, client().unregister_callback, hook.url)
        with open(recording("wav"), "rb") as audio:
            self.refused_speech(400, client().create_job, audio=audio, callback_url=hook.url)

    def test_without_a_callback(self):
        job = self.create(user_token="job25")
        self.assertEqual(len(job["warnings"]), 1)
        found = self.ended(job)
        self.assertEqual(transcripts(found["results"][0]), expected("wav"))
        deleted = client().delete_job(job["id"])
        self.assertEqual((deleted.get_status_code(), deleted.get_result()), (204, None))
        self.refused_speech(404, client().check_job, job["id"])
        self.refused_speech(404, client().delete_job, job["id"])

    def test_user_data(self):
        headers = {"X-Watson-Metadata": "customer_id=somebody"}
        job, other = self.create(headers=headers), self.create()
        self.assertEqual(client().delete_user_data("somebody").get_status_code(), 200)
        self.refused_speech(404, client().check_job, job["id"])
        self.assertEqual(client().delete_user_data("nobody").get_status_code(), 200)
        self.assertEqual(self.ended(other)["status"], "completed")


if __name__ == "__main__":
    unittest.main()
