// Links the figures of a page: one hover cursor, one selected step, and a click that selects one.
// data: { figures, stage, x, run, step }: the class that the figures' containers have in their names,
// that of the step's own container, which stays in view, and the place of the selected step on the
// x-axis, with the run and the step (from 1) that it is of.
// Every point of a figure carries [run, step, ...] as its customdata.

const LAYER = "lightbox-cursor"
const MOST = 0.4 // of the window's height, for what stays in view

export default function (component) {
  const { data, parentElement, setTriggerValue } = component
  const root = parentElement.querySelector(".cursor")
  root.stop?.()
  const find = () => [...document.querySelectorAll(`[class*="${data.figures}"] .js-plotly-plot`)]
  const style = getComputedStyle(root)
  const look = {
    selected: style.getPropertyValue("--st-primary-color"),
    hovered: style.getPropertyValue("--st-gray-text-color") || "#8b847a",
    text: style.getPropertyValue("--st-text-color"),
    background: style.getPropertyValue("--st-background-color"),
    font: style.getPropertyValue("--st-font"),
  }
  const linked = new Map()
  let hovered = null
  let asked = 0

  const draw = () => {
    asked = 0
    pin(document.querySelector(`.${data.stage}`), look)
    for (const plot of find()) {
      if (!plot.on || !plot._fullLayout?.xaxis) continue
      if (!linked.has(plot)) linked.set(plot, listen(plot))
      paint(plot, look, data, hovered)
    }
  }
  const later = () => (asked ||= requestAnimationFrame(draw))

  function listen(plot) {
    const handlers = {
      plotly_hover: event => {
        const [run, step] = event.points[0].customdata ?? []
        hovered = run === undefined ? null : { x: event.points[0].x, run, step, plot }
        later()
      },
      plotly_unhover: () => {
        hovered = null
        later()
      },
      plotly_click: event => {
        const [run, step] = event.points[0].customdata ?? []
        if (run !== undefined) setTriggerValue("picked", { run, step })
      },
      plotly_afterplot: later,
      plotly_relayout: later,
    }
    for (const [name, handler] of Object.entries(handlers)) plot.on(name, handler)
    return handlers
  }

  // Figures come and go with the page's controls: whatever appears is linked.
  const observer = new MutationObserver(later)
  observer.observe(document.querySelector("[data-testid=stApp]") ?? document.body, {
    childList: true,
    subtree: true,
  })
  later()

  // Called again with new data, without the clean-up of the call before: that comes at the end alone.
  return (root.stop = () => {
    observer.disconnect()
    cancelAnimationFrame(asked)
    for (const [plot, handlers] of linked) {
      for (const [name, handler] of Object.entries(handlers)) plot.removeListener?.(name, handler)
      plot.querySelector(`.${LAYER}`)?.remove()
    }
  })
}

// Keep the step's container under the page's header while the figures scroll, where there is room.
function pin(stage, look) {
  const box = stage?.parentElement
  if (!box) return
  const header = document.querySelector("[data-testid=stHeader]")?.offsetHeight ?? 0
  const fits = stage.offsetHeight <= MOST * innerHeight
  const wanted = fits
    ? { position: "sticky", top: `${header}px`, zIndex: "5", background: look.background }
    : { position: "", top: "", zIndex: "", background: "" }
  for (const [name, value] of Object.entries(wanted)) {
    if (box.style[name] !== value) box.style[name] = value
  }
}

function paint(plot, look, selected, hovered) {
  const box = plot.querySelector(".svg-container")
  if (!box) return
  let layer = box.querySelector(`:scope > .${LAYER}`)
  const marks = []
  if (selected.x !== null) marks.push(...cursor(plot, selected, "selected", look))
  if (hovered) marks.push(...cursor(plot, hovered, "hovered", look))
  const state = JSON.stringify(marks)
  if (layer?.dataset.state === state) return // also: our own change is no reason to draw again
  if (!layer) {
    layer = document.createElement("div")
    layer.className = LAYER
    layer.style.cssText = "position:absolute;inset:0;pointer-events:none;overflow:hidden"
    box.appendChild(layer)
  }
  layer.dataset.state = state
  layer.replaceChildren(...marks.map(mark => element(mark)))
}

// A line at the place, and on every line of that run the point of that step with its value.
function cursor(plot, at, kind, look) {
  const { xaxis, yaxis } = plot._fullLayout
  const left = xaxis._offset + xaxis.d2p(at.x)
  if (!(left >= xaxis._offset - 1 && left <= xaxis._offset + xaxis._length + 1)) return []
  const top = yaxis._offset
  const colour = look[kind]
  const marks = [
    {
      kind: `line ${kind}`,
      text: "",
      css: `left:${left}px;top:${top}px;height:${yaxis._length}px;border-left:${
        kind === "selected" ? `2px solid ${colour}` : `1px dashed ${colour}`
      };margin-left:${kind === "selected" ? -1 : 0}px`,
    },
  ]
  const traces = plot.data.filter(trace => trace.meta?.run === at.run)
  for (const trace of traces) {
    const index = trace.customdata.findIndex(point => point[1] === at.step)
    const value = trace.y[index]
    if (value === null || value === undefined) continue
    const height = top + yaxis.d2p(value)
    if (!(height >= top - 1 && height <= top + yaxis._length + 1)) continue
    marks.push({
      kind: `dot ${kind}`,
      text: "",
      css:
        `left:${left - 4}px;top:${height - 4}px;width:8px;height:8px;border-radius:50%;` +
        `box-sizing:border-box;background:${trace.line.color};border:1.5px solid ${look.background}`,
    })
    // The figure under the mouse says its value itself.
    if (kind === "hovered" && plot !== at.plot && traces.length <= 2) {
      const flips = left > xaxis._offset + xaxis._length - 60
      marks.push({
        kind: "value",
        text: short(value),
        css:
          `${flips ? "right" : "left"}:${flips ? plot._fullLayout.width - left + 8 : left + 8}px;` +
          `top:${height - 10}px;padding:0 5px;border-radius:4px;font:11px/18px ${look.font};` +
          `color:${look.text};background:${look.background};opacity:0.92;` +
          `border:1px solid ${trace.line.color}`,
      })
    }
  }
  return marks
}

function short(value) {
  const size = Math.abs(value)
  return size !== 0 && (size < 0.001 || size >= 1e5) ? value.toExponential(1) : `${+value.toPrecision(3)}`
}

function element({ kind, text, css }) {
  const made = document.createElement("div")
  made.className = kind
  made.textContent = text
  made.style.cssText = `position:absolute;${css}`
  return made
}
