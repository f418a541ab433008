// Two pictures: a slider between them, side by side, blinking, and their absolute difference.
// data: { a, b: {src, label, width, height} }

const BLINK_MILLISECONDS = 600
const SHOWN_AT_LEAST = 512

export default function (component) {
  const { data, parentElement } = component
  const root = parentElement.querySelector(".looking")
  const find = name => root.querySelector(`.${name}`)
  const state = (root.state ??= { mode: "slider", zoom: 1, split: 0.5, gain: 1, pixels: false })
  const pair = find("pair")

  function draw() {
    root.classList.toggle("pixels", state.pixels)
    root.querySelectorAll(".modes button").forEach(button => {
      button.setAttribute("aria-checked", String(button.value === state.mode))
    })
    setSource(find("a"), data.a)
    setSource(find("b"), data.b)
    setSource(find("c"), data.b)
    find("second").hidden = state.mode !== "side"
    find("b").hidden = state.mode !== "slider"
    find("line").hidden = state.mode !== "slider"
    find("split").hidden = state.mode !== "slider"
    find("gains").hidden = state.mode !== "difference"
    find("difference").hidden = state.mode !== "difference"
    find("split").querySelector("input").value = state.split
    find("b").style.clipPath = `inset(0 0 0 ${100 * state.split}%)`
    find("line").style.left = `${100 * state.split}%`
    const names = { slider: "A | B", side: "A", blink: "A", difference: "|A − B|" }
    find("tag").firstElementChild.textContent = names[state.mode]
    find("words").textContent = ""
    pair.hidden = false
    size()
    blink()
    if (state.mode === "difference") difference()
  }

  function size() {
    const sides = state.mode === "side" ? 2 : 1
    const room = (find("views").clientWidth - 8 * (sides - 1)) / sides - 2
    for (const [sheet, picture] of [[pair, data.a], [find("other"), data.b]]) {
      const fitting = Math.min(room, Math.max(SHOWN_AT_LEAST, picture.width))
      sheet.style.width = `${fitting * state.zoom}px`
      sheet.style.aspectRatio = `${picture.width} / ${picture.height}`
    }
  }

  function blink() {
    clearInterval(root.timer)
    if (state.mode !== "blink") return
    root.timer = setInterval(() => {
      const showsB = (find("b").hidden = !find("b").hidden)
      find("b").style.clipPath = "none"
      find("tag").firstElementChild.textContent = showsB ? "A" : "B"
    }, BLINK_MILLISECONDS)
  }

  async function difference() {
    const canvas = find("difference")
    if (data.a.width !== data.b.width || data.a.height !== data.b.height) {
      pair.hidden = true
      find("words").textContent = "Pictures of different sizes have no difference."
      return
    }
    await Promise.all([find("a").decode(), find("b").decode()])
    const [a, b] = [pixels(find("a"), data.a), pixels(find("b"), data.b)]
    let sum = 0
    let most = 0
    for (let i = 0; i < a.data.length; i += 4) {
      for (let channel = i; channel < i + 3; channel++) {
        const value = Math.abs(a.data[channel] - b.data[channel])
        sum += value
        most = Math.max(most, value)
        a.data[channel] = Math.min(255, value * state.gain)
      }
    }
    canvas.width = data.a.width
    canvas.height = data.a.height
    canvas.getContext("2d").putImageData(a, 0, 0)
    const mean = sum / (3 * data.a.width * data.a.height)
    find("words").textContent =
      `Mean ${mean.toFixed(2)} and largest ${most} of 255, per channel; shown ${state.gain} ×.`
  }

  root.querySelectorAll(".modes button").forEach(button => {
    button.onclick = () => { state.mode = button.value; draw() }
  })
  find("zoom").oninput = event => { state.zoom = Number(event.target.value); size() }
  find("grain").onchange = event => { state.pixels = event.target.checked; draw() }
  find("gains").querySelector("select").onchange = event => {
    state.gain = Number(event.target.value)
    draw()
  }
  find("split").querySelector("input").oninput = event => {
    state.split = Number(event.target.value)
    draw()
  }
  pair.onpointerdown = event => {
    if (state.mode !== "slider") return
    event.preventDefault()
    pair.setPointerCapture(event.pointerId)
    pair.onpointermove(event)
  }
  pair.onpointermove = event => {
    if (state.mode !== "slider" || !event.buttons) return
    const box = pair.getBoundingClientRect()
    state.split = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width))
    draw()
  }
  const [one, two] = root.querySelectorAll(".view")
  one.onscroll = () => together(one, two)
  two.onscroll = () => together(two, one)
  root.observer?.disconnect()
  root.observer = new ResizeObserver(size)
  root.observer.observe(find("views"))
  draw()
  return () => {
    clearInterval(root.timer)
    root.observer.disconnect()
  }
}

function setSource(image, picture) {
  if (image.getAttribute("src") !== picture.src) image.src = picture.src
  image.alt = picture.label
}

function pixels(image, picture) {
  const canvas = document.createElement("canvas")
  canvas.width = picture.width
  canvas.height = picture.height
  const context = canvas.getContext("2d", { willReadFrequently: true })
  context.drawImage(image, 0, 0, picture.width, picture.height)
  return context.getImageData(0, 0, picture.width, picture.height)
}

function together(from, to) {
  if (to.hidden || (to.scrollTop === from.scrollTop && to.scrollLeft === from.scrollLeft)) return
  to.scrollTop = from.scrollTop
  to.scrollLeft = from.scrollLeft
}
