import {readdirSync, readFileSync} from 'node:fs';
import {join, relative, resolve} from 'node:path';
import {parseAst} from 'rolldown/parseAst';

/** A string literal of a source file, with `⟨…⟩` in place of interpolated expressions. */
export type SourceText = {text: string; where: string; isNext: boolean};

export const hole = '⟨…⟩';

type Node = {type: string; start: number; [key: string]: unknown};

const src = resolve(import.meta.dirname, '../../src');

/** Every string of the sources, with concatenated parts joined; `isNext` for values of properties named `next`. */
export function sourceTexts(): SourceText[] {
  return readdirSync(src, {recursive: true, encoding: 'utf8'})
    .filter((file) => /\.tsx?$/.test(file) && !file.endsWith('.d.ts'))
    .flatMap((file) => textsOf(join(src, file)));
}

function textsOf(file: string): SourceText[] {
  const source = readFileSync(file, 'utf8');
  const found: SourceText[] = [];
  const visit = (node: unknown, isNext: boolean): void => {
    if (Array.isArray(node)) {
      for (const each of node) visit(each, isNext);
      return;
    }
    if (typeof node !== 'object' || node === null) return;
    const {type, start} = node as Node;
    if (type === 'ImportDeclaration' || type === 'ImportExpression') return;
    const text = textOf(node as Node);
    if (text !== undefined) {
      const line = source.slice(0, start).split('\n').length;
      found.push({text, where: `src/${relative(src, file)}:${line}`, isNext});
    }
    const holdsNext = type === 'Property' && ((node as Node).key as {name?: string}).name === 'next';
    // An interpolated literal is a text of its own.
    if (text === undefined || type !== 'Literal') {
      for (const [key, value] of Object.entries(node)) {
        if (text !== undefined && (key === 'left' || key === 'right') && textOf(value as Node) !== undefined) {
          visitHoles(value as Node, isNext);
          continue;
        }
        visit(value, isNext || holdsNext);
      }
    }
  };
  const visitHoles = (node: Node, isNext: boolean): void => {
    if (node.type === 'TemplateLiteral') visit(node.expressions, isNext);
    if (node.type === 'BinaryExpression') for (const side of [node.left, node.right]) visitHoles(side as Node, isNext);
  };
  visit(parseAst(source, {lang: file.endsWith('x') ? 'tsx' : 'ts'}), false);
  return found;
}

function textOf(node: Node | null): string | undefined {
  if (node?.type === 'Literal' && typeof node.value === 'string') return node.value;
  if (node?.type === 'TemplateLiteral')
    return (node.quasis as {value: {cooked: string}}[]).map(({value}) => value.cooked).join(hole);
  if (node?.type === 'BinaryExpression' && node.operator === '+') {
    const [left, right] = [textOf(node.left as Node), textOf(node.right as Node)];
    if (left !== undefined || right !== undefined) return `${left ?? hole}${right ?? hole}`;
  }
  return undefined;
}
