// The grid of a sweep: sticky labels, cells that change in place while they develop.
// data: { x, y: {label, values} | null, cells: [...], size: pixels or 0 (fit), captions: bool }

const MIN_FIT = 72
const MAX_FIT = 256
const ROW_LABEL = 88
const GAP = 6
const FLOWING = 115

export default function (component) {
  const { data, parentElement, setTriggerValue } = component
  const scroll = parentElement.querySelector(".scroll")
  const grid = scroll.querySelector(".grid")
  const shape = JSON.stringify([data.x, data.y, data.cells.length, data.name])
  if (grid.dataset.shape !== shape) {
    grid.dataset.shape = shape
    build(grid, data)
  }
  const cells = [...grid.querySelectorAll(".cell")]
  const resize = () => arrange(scroll, grid, cells, data)
  cells.forEach((cell, index) => {
    paint(cell, data.cells[index])
    cell.onclick = () => setTriggerValue("opened", data.cells[index].at)
  })
  grid.onkeydown = event => move(event, cells, data)
  resize()
  scroll.observer?.disconnect()
  scroll.observer = new ResizeObserver(resize)
  scroll.observer.observe(scroll)
  return () => scroll.observer.disconnect()
}

function build(grid, data) {
  grid.replaceChildren()
  const flows = !data.x || !data.y
  grid.classList.toggle("flow", flows)
  grid.setAttribute("aria-label", data.name)
  if (!flows) {
    const corner = add(grid, "div", "label corner")
    add(corner, "span", "name").textContent = `→ ${data.x.label}`
    add(corner, "span", "name").textContent = `↓ ${data.y.label}`
    data.x.values.forEach(value => (add(grid, "div", "label column").textContent = value))
  }
  data.cells.forEach((cell, index) => {
    if (!flows && index % data.x.values.length === 0) {
      const label = add(grid, "div", "label row")
      label.textContent = data.y.values[index / data.x.values.length]
    }
    const button = add(grid, "button", "cell")
    button.type = "button"
    button.tabIndex = index === 0 ? 0 : -1
    const frame = add(button, "span", "frame")
    add(frame, "img", "")
    add(frame, "span", "words")
    add(frame, "span", "bar")
    add(frame, "span", "marks")
    add(button, "span", "caption")
  })
}

function paint(cell, view) {
  const image = cell.querySelector("img")
  cell.dataset.state = view.state
  cell.title = view.title
  cell.setAttribute("aria-label", view.alt)
  image.alt = ""
  if (!view.src) image.removeAttribute("src")
  else if (image.getAttribute("src") !== view.src) image.src = view.src
  cell.querySelector(".words").textContent = view.words
  cell.querySelector(".bar").style.width = `${100 * view.progress}%`
  const marks = cell.querySelector(".marks")
  marks.replaceChildren()
  view.marks.forEach(text => (add(marks, "span", "mark").textContent = text))
}

// Cells of different sizes keep their proportions: the longest side of all is `side` pixels.
function arrange(scroll, grid, cells, data) {
  const flows = !data.x || !data.y
  const columns = flows ? 1 : data.x.values.length
  const room = scroll.clientWidth - (flows ? 2 * GAP : ROW_LABEL + GAP)
  const across = flows ? Math.max(2, Math.floor(room / FLOWING)) : columns
  const wanted = Math.floor((room + (flows ? GAP : 0)) / across) - GAP
  const side = data.size || Math.min(MAX_FIT, Math.max(MIN_FIT, wanted))
  const longest = Math.max(...data.cells.map(cell => Math.max(cell.width, cell.height)))
  const widest = Math.max(...data.cells.map(cell => cell.width))
  const track = Math.round((side * widest) / longest)
  grid.style.gridTemplateColumns = flows
    ? `repeat(auto-fill, ${track}px)`
    : `${ROW_LABEL}px repeat(${columns}, minmax(${track}px, max-content))`
  cells.forEach((cell, index) => {
    const view = data.cells[index]
    const frame = cell.querySelector(".frame")
    frame.style.width = `${Math.round((side * view.width) / longest)}px`
    frame.style.height = `${Math.round((side * view.height) / longest)}px`
    const caption = cell.querySelector(".caption")
    caption.textContent = data.captions || flows ? view.caption : ""
    caption.style.maxWidth = `${track}px`
  })
}

function move(event, cells, data) {
  const columns = data.x && data.y ? data.x.values.length : cells.length
  const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns }[event.key]
  const here = cells.indexOf(event.target)
  if (step === undefined || here < 0) return
  const next = cells[here + step]
  event.preventDefault()
  if (!next) return
  cells[here].tabIndex = -1
  next.tabIndex = 0
  next.focus()
}

function add(parent, tag, classes) {
  const element = document.createElement(tag)
  if (classes) element.className = classes
  parent.appendChild(element)
  return element
}
