// A mask painted over a picture. Sends it as "painted" after each stroke: a PNG, as a data: address,
// white where it was painted. data: { picture, mask, turn, width, height, isGrey }; the mask is
// read anew where `turn` is another, and else what is on the canvas is the newest.

const SHOWN = "rgb(255, 43, 214)" // seen over most pictures; the alpha of the canvas is the mask
const KEYS_STEP = 1.25
const ARROWS = { arrowleft: [-1, 0], arrowright: [1, 0], arrowup: [0, -1], arrowdown: [0, 1] }
const MOVES = 40 // by the keys, from one end of the longer side to the other

export default function (component) {
  const { data, parentElement, setTriggerValue } = component
  const root = parentElement.querySelector(".brush")
  const find = name => root.querySelector(`.${name}`)
  const canvas = find("mask")
  const pen = canvas.getContext("2d", { willReadFrequently: true })
  const state = (root.state ??= {
    done: [], undone: [], stroke: null, erases: false, size: 0, base: null, turn: null,
    cursor: null, isByKeys: false,
  })
  state.send = mask => setTriggerValue("painted", mask)

  const sheetOf = (width, height) => Object.assign(document.createElement("canvas"), { width, height })

  function copy() {
    const kept = sheetOf(canvas.width, canvas.height)
    kept.getContext("2d").drawImage(canvas, 0, 0)
    return kept
  }

  function lay(picture) {
    pen.globalCompositeOperation = "copy"
    pen.globalAlpha = 1
    pen.drawImage(picture, 0, 0)
  }

  // A stroke takes the place of what it covers: first nothing is left there, then its own grey.
  function apply(act) {
    if (act.clears) return pen.clearRect(0, 0, canvas.width, canvas.height)
    draw(act, "destination-out", 1)
    if (!act.erases) draw(act, "source-over", act.level)
  }

  function draw({ points, size }, how, alpha) {
    pen.globalCompositeOperation = how
    pen.globalAlpha = alpha
    pen.strokeStyle = pen.fillStyle = SHOWN
    pen.lineWidth = size
    pen.lineCap = pen.lineJoin = "round"
    pen.beginPath()
    if (points.length === 1) {
      pen.arc(points[0].x, points[0].y, size / 2, 0, 2 * Math.PI)
      return pen.fill()
    }
    points.forEach(({ x, y }, index) => (index ? pen.lineTo(x, y) : pen.moveTo(x, y)))
    pen.stroke()
  }

  function redraw() {
    lay(state.base)
    state.done.forEach(apply)
  }

  // Its alpha is the mask: the grey of a PNG, by way of the alpha of one colour.
  function exported() {
    const white = copy()
    const one = white.getContext("2d")
    one.globalCompositeOperation = "source-in"
    one.fillStyle = "white"
    one.fillRect(0, 0, white.width, white.height)
    const flat = sheetOf(white.width, white.height)
    const two = flat.getContext("2d")
    two.fillStyle = "black"
    two.fillRect(0, 0, flat.width, flat.height)
    two.drawImage(white, 0, 0)
    return flat.toDataURL("image/png")
  }

  async function load() {
    const picture = new Image()
    picture.src = data.mask
    await picture.decode()
    canvas.width = data.width
    canvas.height = data.height
    lay(picture)
    const pixels = pen.getImageData(0, 0, canvas.width, canvas.height)
    const [red, green, blue] = SHOWN.match(/\d+/g).map(Number)
    for (let at = 0; at < pixels.data.length; at += 4) {
      pixels.data.set([red, green, blue, pixels.data[at]], at)
    }
    pen.putImageData(pixels, 0, 0)
    state.base = copy()
    state.done = []
    state.undone = []
    state.stroke = null
    state.cursor = null
    state.isByKeys = false
    show()
  }

  function show() {
    const longest = Math.max(data.width, data.height)
    find("size").max = String(Math.ceil(longest / 2))
    state.size ||= Math.round(longest / 6)
    state.size = Math.min(Math.max(Math.round(state.size), 1), Math.ceil(longest / 2))
    find("size").value = String(state.size)
    find("size").nextElementSibling.textContent = `${state.size} px`
    find("level").nextElementSibling.textContent = `${find("level").value} %`
    find("grey").hidden = !data.isGrey
    find("paint").setAttribute("aria-pressed", String(!state.erases))
    find("erase").setAttribute("aria-pressed", String(state.erases))
    find("undo").disabled = state.done.length === 0
    find("redo").disabled = state.undone.length === 0
    tell()
    const wide = (100 * state.size) / data.width
    find("ring").style.width = `${wide}%`
    find("ring").style.aspectRatio = "1"
  }

  // The name of the canvas, for those who do not see the ring.
  function tell() {
    const { x, y } = state.cursor ?? { x: canvas.width / 2, y: canvas.height / 2 }
    const [across, down] = [x / canvas.width, y / canvas.height].map(part => Math.round(100 * part))
    const does = state.stroke ? (state.stroke.erases ? "Erasing" : "Painting") : "Not painting"
    const said = `${does}, ${across} % from the left, ${down} % from the top`
    canvas.setAttribute("aria-label", `Mask over the source. ${said}`)
    find("said").textContent = canvas.matches(":focus") ? said : ""
    find("ring").classList.toggle("down", Boolean(state.stroke && state.isByKeys))
  }

  function finish() {
    redraw()
    show()
    state.send(exported())
  }

  function add(act) {
    state.done.push(act)
    state.undone = []
    finish()
  }

  function undo() {
    if (state.stroke || !state.done.length) return
    state.undone.push(state.done.pop())
    finish()
  }

  function redo() {
    if (state.stroke || !state.undone.length) return
    state.done.push(state.undone.pop())
    finish()
  }

  function ringAt({ x, y }) {
    find("ring").style.left = `${(100 * x) / canvas.width}%`
    find("ring").style.top = `${(100 * y) / canvas.height}%`
    find("ring").hidden = false
  }

  function place(event) {
    const box = canvas.getBoundingClientRect()
    const x = ((event.clientX - box.left) / box.width) * canvas.width
    const y = ((event.clientY - box.top) / box.height) * canvas.height
    ringAt({ x, y })
    return { x, y }
  }

  function begin(at) {
    const level = data.isGrey ? Number(find("level").value) / 100 : 1
    state.before = copy()
    state.stroke = { points: [at], size: state.size, erases: state.erases, level }
    apply(state.stroke)
  }

  function goOn(at) {
    state.stroke.points.push(at)
    lay(state.before)
    apply(state.stroke)
  }

  function end() {
    const stroke = state.stroke
    state.stroke = null
    state.isByKeys = false
    add(stroke)
  }

  function cursor() {
    return (state.cursor ??= { x: canvas.width / 2, y: canvas.height / 2 })
  }

  function move([across, down], isFine) {
    const far = isFine ? 1 : Math.max(1, Math.round(Math.max(canvas.width, canvas.height) / MOVES))
    const x = Math.min(Math.max(cursor().x + across * far, 0), canvas.width)
    const y = Math.min(Math.max(cursor().y + down * far, 0), canvas.height)
    state.cursor = { x, y }
    ringAt(state.cursor)
    if (state.stroke) goOn(state.cursor)
    tell()
  }

  function press() {
    if (state.stroke) return end()
    state.isByKeys = true
    begin({ ...cursor() })
    ringAt(cursor())
    tell()
  }

  canvas.onpointerdown = event => {
    if (event.button !== 0 || !event.isPrimary || !state.base) return
    if (state.stroke) end()
    canvas.setPointerCapture(event.pointerId)
    canvas.focus({ preventScroll: true })
    event.preventDefault()
    begin(place(event))
  }
  canvas.onpointermove = event => {
    if (state.isByKeys) return
    const at = place(event)
    if (state.stroke && event.isPrimary) goOn(at)
  }
  canvas.onpointerup = canvas.onpointercancel = event => {
    if (!state.stroke || state.isByKeys || !event.isPrimary) return
    state.cursor = state.stroke.points.at(-1)
    end()
  }
  canvas.onpointerleave = () => {
    if (!canvas.matches(":focus-visible")) find("ring").hidden = true
  }
  canvas.onfocus = () => {
    if (!state.base || !canvas.matches(":focus-visible")) return
    ringAt(cursor())
    tell()
  }
  canvas.onblur = () => {
    find("ring").hidden = true
    if (state.stroke && state.isByKeys) end()
    else tell()
  }
  canvas.onkeydown = event => {
    if (!state.base || event.ctrlKey || event.metaKey || event.altKey) return
    const arrow = ARROWS[event.key.toLowerCase()]
    if (arrow && !(state.stroke && !state.isByKeys)) move(arrow, event.shiftKey)
    else if (event.key === " " || event.key === "Enter") {
      if (!event.repeat && !(state.stroke && !state.isByKeys)) press()
    } else return
    event.preventDefault()
    event.stopPropagation()
  }

  find("paint").onclick = () => ((state.erases = false), show())
  find("erase").onclick = () => ((state.erases = true), show())
  find("undo").onclick = undo
  find("redo").onclick = redo
  find("clear").onclick = () => add({ clears: true })
  find("size").oninput = event => ((state.size = Number(event.target.value)), show())
  find("level").oninput = show
  root.onkeydown = event => {
    const key = event.key.toLowerCase()
    const isCommand = event.ctrlKey || event.metaKey
    if (isCommand && key === "z") event.shiftKey ? redo() : undo()
    else if (isCommand && key === "y") redo()
    else if (!isCommand && key === "[") (state.size = Math.min(state.size - 1, state.size / KEYS_STEP)), show()
    else if (!isCommand && key === "]") (state.size = Math.max(state.size + 1, state.size * KEYS_STEP)), show()
    else return
    event.preventDefault()
    event.stopPropagation()
  }

  find("sheet").style.aspectRatio = `${data.width} / ${data.height}`
  const picture = find("picture")
  picture.hidden = !data.picture
  if (data.picture && picture.getAttribute("src") !== data.picture) picture.src = data.picture
  if (state.turn !== data.turn) {
    state.turn = data.turn
    load()
  } else if (state.base) {
    show()
  }
}
