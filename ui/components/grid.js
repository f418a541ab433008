// The grid of a sweep: sticky labels, cells that change in place while they develop, and the grid
// alone on a full screen.
// data: { name, x, y: {label, values} | null, cells: [...], size: pixels or 0 (fit), captions: bool }

const SMALLEST = 24 // Fit never scrolls sideways...
const SMALLEST_ON_A_PHONE = 96 // ...but there, where pictures would be too small to see
const PHONE = 600
const LARGEST = 320
const LABEL = 88 // pixels of the column of row labels
const LABEL_ON_A_PHONE = 60
const GAP = 6
const FLOWING = 115

export default function (component) {
  const { data, parentElement, setTriggerValue } = component
  const stage = parentElement.querySelector(".stage")
  const grid = stage.querySelector(".grid")
  const shape = JSON.stringify([data.x, data.y, data.cells.length, data.name])
  if (grid.dataset.shape !== shape) {
    grid.dataset.shape = shape
    build(grid, data)
  }
  const cells = [...grid.querySelectorAll(".cell")]
  const lens = new Lens(stage.querySelector(".lens"), data)
  const isFull = () => stage.getRootNode().fullscreenElement === stage
  const resize = () => arrange(stage, grid, cells, data, isFull())
  cells.forEach((cell, index) => {
    paint(cell, data.cells[index])
    cell.onclick = () => {
      if (isFull()) return lens.open(index)
      setTriggerValue("opened", data.cells[index].at)
      returnFocus(cell)
    }
  })
  lens.follow()
  const full = stage.querySelector(".full")
  full.onclick = () => (isFull() ? document.exitFullscreen() : stage.requestFullscreen())
  stage.onfullscreenchange = () => {
    full.textContent = isFull() ? "Leave" : "Full screen"
    if (isFull()) cells.find(cell => cell.tabIndex === 0)?.focus()
    else lens.close()
    resize()
  }
  stage.onkeydown = event => {
    if (event.ctrlKey || event.metaKey || event.altKey) return
    if (event.key === "f") full.click()
    else if (lens.isOpen) lens.move(event, columnsOf(data))
    else move(event, cells, columnsOf(data))
  }
  resize()
  stage.observer?.disconnect()
  stage.observer = new ResizeObserver(resize)
  stage.observer.observe(stage.querySelector(".scroll"))
  return () => stage.observer.disconnect()
}

// A dialog gives the focus back to what opened it, but not into a component's shadow tree.
function returnFocus(cell) {
  let opened = false
  let looks = 0
  const timer = setInterval(() => {
    const dialog = document.querySelector("[role=dialog]")
    if (dialog) opened = true
    else if (opened || ++looks > 50) {
      clearInterval(timer)
      if (opened && document.activeElement === document.body) cell.focus({ preventScroll: true })
    }
  }, 100)
}

const flows = data => !data.x || !data.y

const columnsOf = data => (flows(data) ? data.cells.length : data.x.values.length)

function build(grid, data) {
  grid.replaceChildren()
  grid.classList.toggle("flow", flows(data))
  grid.setAttribute("aria-label", data.name)
  if (flows(data)) {
    const axis = data.x || data.y
    if (axis) add(grid, "div", "axis").textContent = axis.label
  } else {
    const corner = add(grid, "div", "label corner")
    add(corner, "span", "name").textContent = `→ ${data.x.label}`
    add(corner, "span", "name").textContent = `↓ ${data.y.label}`
    data.x.values.forEach(value => (add(grid, "div", "label column").textContent = value))
  }
  data.cells.forEach((cell, index) => {
    if (!flows(data) && index % data.x.values.length === 0) {
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
  cell.dataset.state = view.state
  cell.classList.toggle("pale", Boolean(view.pale))
  cell.title = view.title
  cell.setAttribute("aria-label", view.alt)
  show(cell.querySelector("img"), view.src)
  cell.querySelector(".words").textContent = view.words
  cell.querySelector(".bar").style.width = `${100 * view.progress}%`
  const marks = cell.querySelector(".marks")
  marks.replaceChildren()
  view.marks.forEach(text => (add(marks, "span", "mark").textContent = text))
}

function show(image, address) {
  image.alt = ""
  if (!address) image.removeAttribute("src")
  else if (image.getAttribute("src") !== address) image.src = address
}

// Cells of different sizes keep their proportions: the longest side of all is `side` pixels.
function arrange(stage, grid, cells, data, isFull) {
  const scroll = stage.querySelector(".scroll")
  const widest = Math.max(...data.cells.map(cell => cell.width))
  const tallest = Math.max(...data.cells.map(cell => cell.height))
  const longest = Math.max(widest, tallest)
  const space = { width: scroll.clientWidth, height: isFull ? scroll.clientHeight : Infinity }
  const captions = data.captions || flows(data)
  const label = space.width < PHONE ? LABEL_ON_A_PHONE : LABEL
  const fitted = flows(data)
    ? sideOfFlow(data, space, isFull, widest / longest, tallest / longest)
    : sideOfTable(data, space, isFull, label, widest / longest, tallest / longest, captions)
  const side = isFull ? fitted : data.size || fitted
  const track = Math.round((side * widest) / longest)
  grid.style.gridTemplateColumns = flows(data)
    ? `repeat(auto-fill, ${track}px)`
    : `${label}px repeat(${data.x.values.length}, ${track}px)`
  cells.forEach((cell, index) => {
    const view = data.cells[index]
    const frame = cell.querySelector(".frame")
    frame.style.width = `${Math.round((side * view.width) / longest)}px`
    frame.style.height = `${Math.round((side * view.height) / longest)}px`
    const caption = cell.querySelector(".caption")
    caption.textContent = captions ? view.caption : ""
    caption.style.maxWidth = `${track}px`
  })
  const hidden = grid.scrollWidth - scroll.clientWidth > 1
  stage.querySelector(".hint").textContent = hidden ? "Scroll sideways to see every column →" : ""
}

const CAPTION = 20 // pixels under a picture
const HEADING = 34 // of the columns, and of a single axis

function sideOfTable(data, space, isFull, label, across, down, captions) {
  const columns = data.x.values.length
  const rows = data.y.values.length
  const width = ((space.width - label - GAP) / columns - GAP) / across
  if (!isFull) {
    const least = space.width < PHONE ? SMALLEST_ON_A_PHONE : SMALLEST
    return Math.floor(Math.min(LARGEST, Math.max(least, width)))
  }
  const height = ((space.height - HEADING) / rows - GAP - (captions ? CAPTION : 0)) / down
  return Math.floor(Math.max(SMALLEST, Math.min(width, height)))
}

// Pictures of one axis wrap: on a full screen as many in a row as make them largest.
function sideOfFlow(data, space, isFull, across, down) {
  const room = space.width - 2 * GAP
  const most = Math.min(Math.max(2, data.cells.length), Math.max(2, Math.floor(room / FLOWING)))
  if (!isFull) {
    const width = Math.floor((room + GAP) / most) - GAP
    return Math.min(LARGEST, Math.max(SMALLEST, width))
  }
  const sides = data.cells.map((_, index) => {
    const columns = index + 1
    const rows = Math.ceil(data.cells.length / columns)
    const width = ((room + GAP) / columns - GAP) / across
    const height = ((space.height - HEADING) / rows - GAP - CAPTION) / down
    return Math.min(width, height)
  })
  return Math.floor(Math.max(SMALLEST, ...sides))
}

function stepOf(key, columns) {
  return { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns }[key]
}

function move(event, cells, columns) {
  const step = stepOf(event.key, columns)
  const here = cells.indexOf(event.target)
  if (step === undefined || here < 0) return
  const next = cells[here + step]
  event.preventDefault()
  if (!next) return
  cells[here].tabIndex = -1
  next.tabIndex = 0
  next.focus()
}

// One cell as large as the screen, over the grid.
class Lens {
  constructor(box, data) {
    this.box = box
    this.data = data
    box.onclick = () => this.close()
  }

  get isOpen() {
    return !this.box.hidden
  }

  open(index) {
    this.box.dataset.index = index
    this.box.hidden = false
    this.follow()
    this.box.focus()
  }

  close() {
    if (this.box.hidden) return
    this.box.hidden = true
    const cells = this.box.parentElement.querySelectorAll(".cell")
    cells[Number(this.box.dataset.index)]?.focus()
  }

  follow() {
    const view = this.data.cells[Number(this.box.dataset.index)]
    if (!this.isOpen || !view) return
    show(this.box.querySelector("img"), view.src)
    this.box.querySelector("p").textContent = view.title
  }

  move(event, columns) {
    const step = stepOf(event.key, columns)
    if (event.key === "Enter" || event.key === " ") this.close()
    else if (step === undefined) return
    else if (this.data.cells[Number(this.box.dataset.index) + step]) {
      this.open(Number(this.box.dataset.index) + step)
    }
    event.preventDefault()
  }
}

function add(parent, tag, classes) {
  const element = document.createElement(tag)
  if (classes) element.className = classes
  parent.appendChild(element)
  return element
}
