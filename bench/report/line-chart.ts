/** One line of a chart; its points are in order of x. */
export interface Series {
  readonly name: string
  readonly points: readonly (readonly [x: number, y: number])[]
}

export interface Panel {
  readonly title: string
  readonly series: readonly Series[]
}

/** Panels side by side with the same series; all axes are logarithmic. */
export interface Chart {
  readonly title: string
  readonly xLabel: string
  readonly panels: readonly Panel[]
}

const COLOURS = ['#0b6bcb', '#c2410c', '#5b6472', '#15803d', '#7c3aed']
const DASHES = ['', '6 3', '2 3', '8 3 2 3', '1 4']
const WIDTH = 420
const HEIGHT = 300
const LEFT = 60
const RIGHT = 16
const TOP = 74
const BOTTOM = 46
const TICK_STEPS = [1, 2, 5]

/** Returns the chart as a self-contained SVG file. */
export function lineChart({ title, xLabel, panels }: Chart): string {
  const names = [...new Set(panels.flatMap(({ series }) => series.map(({ name }) => name)))]
  const parts = [
    text(LEFT, 22, title, 'font-weight="600" font-size="14"'),
    ...names.map((name, index) => legend(name, index)),
    ...panels.map(
      (panel, index) => `<g transform="translate(${index * WIDTH} 0)">${panelOf(panel, xLabel, names)}</g>`,
    ),
  ]
  const width = panels.length * WIDTH
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${HEIGHT}" width="${width}" height="${HEIGHT}" font-family="system-ui, sans-serif" font-size="11" fill="#24292f" role="img" aria-label="${escaped(title)}">`,
    `<rect width="${width}" height="${HEIGHT}" fill="#ffffff"/>`,
    ...parts,
    '</svg>\n',
  ].join('\n')
}

function panelOf({ title, series }: Panel, xLabel: string, names: readonly string[]): string {
  const points = series.flatMap(({ points }) => points)
  if (points.length === 0) throw new Error(`the panel ${title} has nothing to draw`)
  const x = new LogScale(
    points.map(([value]) => value),
    LEFT,
    WIDTH - RIGHT,
  )
  const y = new LogScale(
    points.map(([, value]) => value),
    HEIGHT - BOTTOM,
    TOP,
  )
  const columns = [...new Set(points.map(([value]) => value))].sort((a, b) => a - b)
  const base = HEIGHT - BOTTOM
  return [
    text(LEFT, TOP - 10, title, 'font-weight="600"'),
    ...y.ticks().map((value) => {
      const at = y.at(value)
      return `${line(LEFT, at, WIDTH - RIGHT, at, '#e1e4e8')}${text(LEFT - 6, at + 4, short(value), 'text-anchor="end"')}`
    }),
    ...columns.map((value) => text(x.at(value), base + 16, short(value), 'text-anchor="middle"')),
    line(LEFT, base, WIDTH - RIGHT, base, '#8c959f'),
    text((LEFT + WIDTH - RIGHT) / 2, base + 36, xLabel, 'text-anchor="middle"'),
    ...series.map((line) => lineOf(line, names.indexOf(line.name), x, y)),
  ].join('\n')
}

function lineOf({ points }: Series, index: number, x: LogScale, y: LogScale): string {
  const at = points.map(([px, py]) => [round(x.at(px)), round(y.at(py))] as const)
  const dots = at.map(([cx, cy]) => `<circle cx="${cx}" cy="${cy}" r="2.5" fill="${colourOf(index)}"/>`)
  return `<polyline points="${at.map((point) => point.join(',')).join(' ')}" fill="none" ${strokeOf(index)}/>${dots.join('')}`
}

function legend(name: string, index: number): string {
  const left = LEFT + index * 150
  return `<path d="M${left} 38h24" fill="none" ${strokeOf(index)}/>${text(left + 30, 42, name)}`
}

/** Logarithmic axis from the smallest to the largest value, with room around a single one. */
class LogScale {
  readonly #low: number
  readonly #high: number
  readonly #from: number
  readonly #to: number

  constructor(values: readonly number[], from: number, to: number) {
    if (!values.every((value) => value > 0 && Number.isFinite(value)))
      throw new Error('a logarithmic axis takes numbers above 0')
    const low = Math.min(...values)
    const high = Math.max(...values)
    this.#low = Math.log(low === high ? low / 2 : low)
    this.#high = Math.log(low === high ? high * 2 : high)
    this.#from = from
    this.#to = to
  }

  at(value: number): number {
    const share = (Math.log(value) - this.#low) / (this.#high - this.#low)
    return round(this.#from + share * (this.#to - this.#from))
  }

  /** Returns 1, 2 and 5 of every power of ten, or only the powers of ten of a long axis. */
  ticks(): number[] {
    const first = Math.floor(this.#low / Math.LN10) - 1
    const last = Math.ceil(this.#high / Math.LN10)
    const steps = last - first > 5 ? [1] : TICK_STEPS
    const ticks: number[] = []
    for (let power = first; power <= last; power += 1) {
      // A power of ten with a negative exponent is exact only as a quotient.
      for (const step of steps) ticks.push(power < 0 ? step / 10 ** -power : step * 10 ** power)
    }
    return ticks.filter((value) => Math.log(value) >= this.#low && Math.log(value) <= this.#high)
  }
}

function strokeOf(index: number): string {
  const dash = DASHES[index % DASHES.length]
  return `stroke="${colourOf(index)}" stroke-width="2"${dash ? ` stroke-dasharray="${dash}"` : ''}`
}

function colourOf(index: number): string {
  return COLOURS[index % COLOURS.length] as string
}

function line(x1: number, y1: number, x2: number, y2: number, stroke: string): string {
  return `<path d="M${x1} ${y1}L${x2} ${y2}" stroke="${stroke}"/>`
}

function text(x: number, y: number, content: string, attributes = ''): string {
  return `<text x="${x}" y="${y}"${attributes && ` ${attributes}`}>${escaped(content)}</text>`
}

function short(value: number): string {
  if (value >= 1e6) return `${value / 1e6}M`
  return value >= 1e3 ? `${value / 1e3}k` : `${value}`
}

function escaped(content: string): string {
  return content
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
}

function round(value: number): number {
  return Math.round(value * 10) / 10
}
