// One picture in place and a slider per axis; zoom and the part in view stay. The first axis plays.
// data: { axes: [{label, values}], cells: [{src, label, width, height}], closes: bool }, the first
// axis fastest; one that closes is its own beginning again after its last value

const SHOWN_AT_LEAST = 512

export default function (component) {
  const { data, parentElement } = component
  const root = parentElement.querySelector(".looking")
  const find = name => root.querySelector(`.${name}`)
  const state = (root.state ??= { at: [], zoom: 1, way: 1 })
  const shape = JSON.stringify(data.axes)
  if (root.dataset.shape !== shape) {
    root.dataset.shape = shape
    state.at = data.axes.map(() => 0)
    build()
  }

  function build() {
    const sliders = find("sliders")
    sliders.replaceChildren()
    data.axes.forEach((axis, index) => {
      const label = document.createElement("label")
      const name = document.createElement("span")
      name.textContent = axis.label
      const input = document.createElement("input")
      const value = document.createElement("b")
      input.type = "range"
      input.min = 0
      input.max = axis.values.length - 1
      input.value = 0
      input.setAttribute("aria-label", axis.label)
      input.oninput = () => { state.at[index] = Number(input.value); root.draw() }
      label.append(name, input, value)
      sliders.append(label)
    })
  }

  root.draw = () => {
    let index = 0
    let step = 1
    data.axes.forEach((axis, number) => {
      index += state.at[number] * step
      step *= axis.values.length
      const label = find("sliders").children[number]
      label.querySelector("b").textContent = axis.values[state.at[number]]
      label.querySelector("input").setAttribute("aria-valuetext", axis.values[state.at[number]])
    })
    const cell = data.cells[index]
    const image = find("a")
    find("words").textContent = cell.src ? "" : `${cell.label} is not computed yet.`
    image.hidden = !cell.src
    if (cell.src && image.getAttribute("src") !== cell.src) image.src = cell.src
    image.alt = cell.label
    root.cell = cell
    size()
  }

  function size() {
    const sheet = find("sheet")
    const room = find("views").clientWidth - 2
    const fitting = Math.min(room, Math.max(SHOWN_AT_LEAST, root.cell.width))
    sheet.style.width = `${fitting * state.zoom}px`
    sheet.style.aspectRatio = `${root.cell.width} / ${root.cell.height}`
  }

  function pace() {
    clearInterval(root.timer)
    const playing = find("play").getAttribute("aria-pressed") === "true"
    find("play").textContent = playing ? "Pause" : "Play"
    if (playing) root.timer = setInterval(forward, 1000 / Number(find("speed").value))
  }

  function forward() {
    const count = data.axes[0].values.length
    const back = find("back").checked && !data.closes
    if (back && state.at[0] + state.way >= count) state.way = -1
    if (state.at[0] + state.way < 0 || !back) state.way = 1
    state.at[0] = (state.at[0] + state.way) % count
    find("sliders").children[0].querySelector("input").value = state.at[0]
    root.draw()
  }

  find("play").onclick = () => {
    const playing = find("play").getAttribute("aria-pressed") === "true"
    find("play").setAttribute("aria-pressed", String(!playing))
    pace()
  }
  find("speed").oninput = pace
  find("play").hidden = find("speed").parentElement.hidden = data.axes[0].values.length < 2
  find("back").parentElement.hidden = data.closes || data.axes[0].values.length < 2
  find("zoom").oninput = event => { state.zoom = Number(event.target.value); size() }
  find("grain").onchange = event => root.classList.toggle("pixels", event.target.checked)
  root.draw()
  pace()
  root.observer?.disconnect()
  root.observer = new ResizeObserver(size)
  root.observer.observe(find("views"))
  preload(data.cells)
  return () => {
    clearInterval(root.timer)
    root.observer.disconnect()
  }
}

// So that a slider moved fast shows every picture on its way.
function preload(cells) {
  cells.forEach(cell => {
    if (cell.src) new Image().src = cell.src
  })
}
