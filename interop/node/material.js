'use strict';

// What the tests work with, as crates/cli/tests/interop lays it out, and clients for it.

const fs = require('node:fs');
const SpeechToTextV1 = require('ibm-watson/speech-to-text/v1');
const { BasicAuthenticator } = require('ibm-watson/auth');

const MATERIAL = JSON.parse(fs.readFileSync(process.env.INTEROP_MATERIAL, 'utf8'));
const { url: URL, key: KEY, recordings: RECORDINGS } = MATERIAL;

// A client as its documentation shows it: an authenticator and the URL.
function client(options) {
  const authenticator = new BasicAuthenticator({ username: 'apikey', password: KEY });
  return new SpeechToTextV1({ authenticator, serviceUrl: URL, ...options });
}

// First choice of every result of a results document.
function transcripts(document) {
  return document.results.map((result) => result.alternatives[0].transcript);
}

module.exports = { MATERIAL, URL, KEY, RECORDINGS, client, transcripts };
