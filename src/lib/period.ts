/** A length of time on the calendar: months and years differ in length. At least one part is not 0. */
export type Period = {years: number; months: number; days: number; hours: number};

const units: readonly {word: string; years?: number; months?: number; days?: number; hours?: number}[] = [
  {word: 'year', years: 1},
  {word: 'month', months: 1},
  {word: 'week', days: 7},
  {word: 'day', days: 1},
  {word: 'hour', hours: 1},
];

/** More of any unit would leave the years that a date can have. */
const most = 9999;

/** @returns undefined unless the text is one or more of `1 year`, `6 months`, `2 weeks`, `3 days`, `36 hours` */
export function readPeriod(text: string): Period | undefined {
  const found = [...text.matchAll(/(\d+)\s*(year|month|week|day|hour)s?(?:\s*,?\s*|$)/giy)];
  if (found.map(([part]) => part).join('') !== text || text.trim() !== text) return undefined;
  const period = {years: 0, months: 0, days: 0, hours: 0};
  for (const [, digits, word] of found) {
    const {years = 0, months = 0, days = 0, hours = 0} = units.find((unit) => unit.word === word!.toLowerCase())!;
    const count = Number(digits);
    if (count > most) return undefined;
    period.years += count * years;
    period.months += count * months;
    period.days += count * days;
    period.hours += count * hours;
  }
  return Object.values(period).some((count) => count > 0) ? period : undefined;
}

/** `1 year 6 months`; {@link readPeriod} reads it back. */
export function periodText({years, months, days, hours}: Period): string {
  const part = (count: number, word: string) => (count === 0 ? [] : [`${count} ${word}${count === 1 ? '' : 's'}`]);
  return [...part(years, 'year'), ...part(months, 'month'), ...part(days, 'day'), ...part(hours, 'hour')].join(' ');
}
