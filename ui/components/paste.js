// A picture from the clipboard: Ctrl+V anywhere on the page but in a text, or the button where
// the browser lets a page read the clipboard. Sends { data: base64, at } as "pasted".
// data: { limit: bytes }

export default function (component) {
  const { data, parentElement, setTriggerValue } = component
  const button = parentElement.querySelector(".paste")
  const words = parentElement.querySelector(".words")
  const say = text => (words.textContent = text)

  const send = async blob => {
    if (blob.size > data.limit) return say("This picture has more than 20 MB.")
    const bytes = new Uint8Array(await blob.arrayBuffer())
    let text = ""
    for (let at = 0; at < bytes.length; at += 32768) {
      text += String.fromCharCode(...bytes.subarray(at, at + 32768))
    }
    say("")
    setTriggerValue("pasted", btoa(text))
  }

  const onPaste = event => {
    const target = event.composedPath()[0]
    if (target && target.closest && target.closest("input, textarea, [contenteditable]")) return
    const item = [...(event.clipboardData?.items ?? [])].find(one => one.type.startsWith("image/"))
    const file = item?.getAsFile()
    if (!file) return say("There is no picture in the clipboard.")
    event.preventDefault()
    send(file)
  }

  button.onclick = async () => {
    if (!navigator.clipboard?.read) return say("Press Ctrl+V: this browser asks for the keys.")
    try {
      for (const item of await navigator.clipboard.read()) {
        const type = item.types.find(one => one.startsWith("image/"))
        if (type) return send(await item.getType(type))
      }
      say("There is no picture in the clipboard.")
    } catch {
      say("The browser did not allow it: press Ctrl+V instead.")
    }
  }

  if (button.onHeard) document.removeEventListener("paste", button.onHeard)
  button.onHeard = onPaste
  document.addEventListener("paste", onPaste)
  return () => document.removeEventListener("paste", onPaste)
}
