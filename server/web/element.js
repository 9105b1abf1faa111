// Makes elements. Text is only ever set as text: a name or a message of a node cannot become markup.

export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "onclick") made.addEventListener("click", value);
    else if (value !== undefined && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== undefined && child !== null));
  return made;
}

// The state as a coloured word.
export function badge(state) {
  return element("span", { class: "badge", "data-state": state }, state);
}
