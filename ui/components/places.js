// A picture with nine places to choose from, by click, touch or keys.
// data: { picture: address, places: nine names, chosen: index or null }

const SIDE = 3

export default function (component) {
  const { data, parentElement, setTriggerValue } = component
  const grid = parentElement.querySelector(".grid")
  const image = parentElement.querySelector("img")
  if (image.getAttribute("src") !== data.picture) image.src = data.picture
  if (!grid.children.length) {
    data.places.forEach(name => {
      const button = document.createElement("button")
      button.type = "button"
      button.setAttribute("aria-label", name)
      button.title = name
      grid.append(button)
    })
  }
  const buttons = [...grid.children]
  buttons.forEach((button, index) => {
    const first = data.chosen === null || data.chosen === undefined ? 0 : data.chosen
    button.setAttribute("aria-pressed", String(index === data.chosen))
    button.tabIndex = index === first ? 0 : -1
    button.onclick = () => {
      setTriggerValue("chosen", index)
    }
  })
  grid.onkeydown = event => {
    const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -SIDE, ArrowDown: SIDE }
    const at = buttons.indexOf(event.target)
    if (!(event.key in steps) || at < 0) return
    const to = at + steps[event.key]
    const sameRow = Math.floor(to / SIDE) === Math.floor(at / SIDE)
    const isSideways = Math.abs(steps[event.key]) === 1
    if (to >= 0 && to < buttons.length && (sameRow || !isSideways)) buttons[to].focus()
    event.preventDefault()
    event.stopPropagation()
  }
}
