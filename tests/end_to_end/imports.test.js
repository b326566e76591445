// What the built module calls of the browser. A call that may throw is made in its catching form: what is thrown through the
// module leaves it unusable. All others stand in imports.json, under the reason why they throw nothing.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';

/** The imports of a glue that do not catch, by their names without the hash. */
function bare(glue) {
  const from = glue.indexOf('function __wbg_get_imports()');
  const body = glue.slice(from, glue.indexOf('\n}\n', from));
  const found = [...body.matchAll(/^        (__wb\w+): (.*(?:\n(?!        __wb).*)*)/gm)];
  assert.ok(found.length > 200, 'the glue is no longer written as this test reads it');
  return found.filter(([, , code]) => !code.includes('handleError(')).map(([, name]) => plain(name));
}

const plain = (name) => name.replace(/^__wbg_/, '').replace(/_[0-9a-f]{16}$/, '');

test('every import of the module catches, or stands under the reason why it throws nothing', async () => {
  const glue = await readFile(new URL('../../pkg/klimb.js', import.meta.url), 'utf8');
  const reasons = JSON.parse(await readFile(new URL('imports.json', import.meta.url)));
  const excused = Object.values(reasons).flat();
  // A cast of one of its own closures or numbers.
  const found = new Set(bare(glue).filter((name) => name !== '__wbindgen_generic'));
  assert.deepEqual([...found].filter((name) => !excused.includes(name)), [], 'call it in its catching form, or say why it throws nothing');
  assert.deepEqual(excused.filter((name) => !found.has(name)), [], 'is imported no more, or catches');
  assert.equal(new Set(excused).size, excused.length, 'stands twice');
});

test('an import that does not catch is found', () => {
  const glue = (name, code) => `function __wbg_get_imports() {\n        __wbg_${name}_0123456789abcdef: ${code},\n`
    + '        __wbg_safe_0123456789abcdef: function() { return handleError(function (arg0) {\n            arg0.f();\n        }, arguments); },\n'.repeat(201) + '\n}\n';
  assert.deepEqual(bare(glue('writeText', 'function(arg0) {\n            return arg0.writeText();\n        }')), ['writeText']);
});
