/** One measured value. Labels are printed in this order. */
export type Sample = {labels: Readonly<Record<string, string>>; value: number};

/** All samples of one name. Every metric of bkp is a gauge, because each value can also decrease. */
export type Family = {name: string; help: string; samples: readonly Sample[]};

/**
 * Prometheus' text format 0.0.4. A family without samples is left out.
 * @param common labels of every sample, before its own
 * Source: https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
 */
export function renderFamilies(families: readonly Family[], common: Readonly<Record<string, string>> = {}): string {
  return families
    .filter(({samples}) => samples.length > 0)
    .map(({name, help, samples}) => {
      const lines = samples.map(({labels, value}) => `${name}${labelText({...common, ...labels})} ${value}\n`);
      return `# HELP ${name} ${escapeHelp(help)}\n# TYPE ${name} gauge\n${lines.join('')}`;
    })
    .join('');
}

function labelText(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escapeLabel(value)}"`);
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}

const escapeHelp = (text: string) => text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
const escapeLabel = (text: string) => escapeHelp(text).replaceAll('"', '\\"');
