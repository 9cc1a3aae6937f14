export type ReadFamily = {type: string; help: string; samples: {labels: Record<string, string>; value: number}[]};

/**
 * Parses Prometheus' text format as strictly as its specification, and more strictly than Prometheus does:
 * HELP, then TYPE, then at least one sample of the same name, no duplicate sample, no blank line. Source:
 * https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
 */
export function readMetrics(text: string): Map<string, ReadFamily> {
  const families = new Map<string, ReadFamily>();
  if (text === '') return families;
  if (!text.endsWith('\n')) throw new Error('the last line does not end');
  const lines = text.slice(0, -1).split('\n');
  let name = '';
  const seen = new Set<string>();
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at]!;
    const help = /^# HELP ([a-zA-Z_:][a-zA-Z0-9_:]*) (.+)$/s.exec(line);
    if (help !== null) {
      const type = /^# TYPE (\S+) (counter|gauge|histogram|summary|untyped)$/.exec(lines[at + 1] ?? '');
      if (type?.[1] !== help[1]) throw new Error(`no TYPE after ${line}`);
      if (families.has(help[1]!)) throw new Error(`${help[1]} stands there twice`);
      name = help[1]!;
      families.set(name, {type: type![2]!, help: unescaped(help[2]!, '\\n'), samples: []});
      at += 1;
      continue;
    }
    const sample = readSample(line);
    if (sample.name !== name) throw new Error(`a sample of ${sample.name} below ${name}: ${line}`);
    const key = `${name} ${JSON.stringify(Object.entries(sample.labels).sort())}`;
    if (seen.has(key)) throw new Error(`a sample stands there twice: ${line}`);
    seen.add(key);
    families.get(name)!.samples.push({labels: sample.labels, value: sample.value});
  }
  for (const [each, {samples}] of families) if (samples.length === 0) throw new Error(`${each} has no sample`);
  return families;
}

function readSample(line: string): {name: string; labels: Record<string, string>; value: number} {
  const head = /^([a-zA-Z_:][a-zA-Z0-9_:]*)/.exec(line);
  if (head === null) throw new Error(`no sample: ${JSON.stringify(line)}`);
  const name = head[1]!;
  const labels: Record<string, string> = {};
  let rest = line.slice(name.length);
  if (rest.startsWith('{')) {
    for (rest = rest.slice(1); ; ) {
      const label = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\["\\n])*)"([,}])/.exec(rest);
      if (label === null) throw new Error(`no label at ${JSON.stringify(rest)} in ${line}`);
      if (Object.hasOwn(labels, label[1]!)) throw new Error(`label ${label[1]} stands there twice: ${line}`);
      labels[label[1]!] = unescaped(label[2]!, '\\n"');
      rest = rest.slice(label[0].length);
      if (label[3] === '}') break;
    }
  }
  const value = /^ ([+-]?(?:\d+(?:\.\d+)?(?:e[+-]?\d+)?|Inf)|NaN)$/.exec(rest);
  if (value === null) throw new Error(`no value at ${JSON.stringify(rest)} in ${line}`);
  return {name, labels, value: Number(value[1]!.replace('Inf', 'Infinity'))};
}

function unescaped(text: string, escapable: string): string {
  return text.replace(/\\(.)/gs, (whole, character: string) => {
    if (!escapable.includes(character)) throw new Error(`${whole} escapes nothing`);
    return character === 'n' ? '\n' : character;
  });
}

/** The value of the only sample with these labels. */
export function sampleOf(families: Map<string, ReadFamily>, name: string, labels: Record<string, string> = {}): number {
  const found = (families.get(name)?.samples ?? []).filter((sample) =>
    Object.entries(labels).every(([label, value]) => sample.labels[label] === value),
  );
  if (found.length !== 1) throw new Error(`${found.length} samples of ${name} with ${JSON.stringify(labels)}`);
  return found[0]!.value;
}
