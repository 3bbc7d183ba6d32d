// Runs the HTTP cache tests of SUITE through a cache at BASE, all or those that IDS names, and writes one JSON object: what came of each, and
// whether it is required, optimal or a mere question. The suite has had two layouts; both are known.
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

const { SUITE, BASE, IDS } = process.env
const load = (...path) => import(pathToFileURL(join(SUITE, ...path)))
const early = !existsSync(join(SUITE, 'test-engine'))

const tests = (await load('tests', 'index.mjs')).default
const kinds = {}
for (const set of tests) for (const test of set.tests) kinds[test.id] = test.browser_only ? 'check' : test.kind ?? 'required'

const wanted = IDS ? new Set(IDS.split(' ')) : null
const chosen = tests.map(set => ({ ...set, tests: set.tests.filter(test => !wanted || wanted.has(test.id)) }))

const { runTests, getResults } = await (early ? load('client', 'runner.mjs') : load('test-engine', 'client', 'runner.mjs'))
if (early) {
  const fetch = (await import(pathToFileURL(createRequire(join(SUITE, 'package.json')).resolve('node-fetch')))).default
  await runTests(chosen, fetch, false, BASE)
} else {
  await runTests(chosen, false, BASE, 100)
}
process.stdout.write(JSON.stringify({ edition: early ? 'npm' : 'git', kinds, results: getResults() }))
process.exit(0)
