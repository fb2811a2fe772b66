'use strict';

// ibm-watson: a custom language model from words, a corpus and a grammar, and recognition with it.

const { test } = require('node:test');
const assert = require('node:assert/strict');
const fs = require('node:fs');
const { setTimeout: sleep } = require('node:timers/promises');
const { MATERIAL, RECORDINGS, client, transcripts } = require('./material.js');

async function until(ask, unfinished, finished) {
  for (let tries = 0; tries < 1200; tries += 1) {
    const { result } = await ask();
    if (!unfinished.includes(result.status)) {
      assert.equal(result.status, finished, JSON.stringify(result));
      return result;
    }
    await sleep(50);
  }
  return assert.fail('it did not come to that in a minute');
}

test('a model is taught and recognised with', async (t) => {
  const service = client();
  const made = await service.createLanguageModel({ name: 'Travel', baseModelName: 'en-US_BroadbandModel' });
  assert.equal(made.status, 201);
  const customizationId = made.result.customization_id;
  t.after(() => service.deleteLanguageModel({ customizationId }));

  const words = [{ word: 'monday', display_as: 'MoonDay' }];
  assert.equal((await service.addWords({ customizationId, words })).status, 201);
  const corpus = { customizationId, corpusName: 'trips to town' };
  const corpusFile = Buffer.from(`${MATERIAL.said}.\n`);
  assert.equal((await service.addCorpus({ ...corpus, corpusFile })).status, 201);
  await until(() => service.getCorpus(corpus), ['being_processed'], 'analyzed');
  const grammar = { customizationId, grammarName: 'trip' };
  const rules = `#ABNF 1.0 UTF-8;\nlanguage en-US;\nmode voice;\nroot $trip;\n$trip = ${MATERIAL.said} | nothing;\n`;
  const added = await service.addGrammar({ ...grammar, grammarFile: Buffer.from(rules), contentType: 'application/srgs' });
  assert.equal(added.status, 201);
  await until(() => service.getGrammar(grammar), ['being_processed'], 'analyzed');
  assert.equal((await service.trainLanguageModel({ customizationId, customizationWeight: 0.5 })).status, 200);
  await until(() => service.getLanguageModel({ customizationId }), ['training'], 'available');

  const heard = async (options) => {
    const audio = fs.createReadStream(RECORDINGS.wav.path);
    const languageCustomizationId = customizationId;
    const { result } = await service.recognize({ audio, contentType: 'audio/wav', languageCustomizationId, ...options });
    return transcripts(result).join('').trim();
  };
  assert.ok((await heard()).includes('MoonDay'));
  assert.equal(await heard({ customizationWeight: 0 }), RECORDINGS.wav.transcripts.join('').trim());
  assert.equal(await heard({ grammarName: 'trip' }), MATERIAL.said.replace('monday', 'MoonDay'));
});
