// A chart of the last two minutes, as SVG. Its lines differ by dashes and its legend has the current values.

const SPAN = 120;
const [WIDTH, HEIGHT] = [SPAN, 100];

function svg(name, attributes) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

function html(name, text = "", className = "") {
  const element = document.createElement(name);
  element.textContent = text;
  element.className = className;
  return element;
}

/** The smallest of 1, 2, 5, 10, ... times a power of ten that is not below *value*. */
function ceiling(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= value) ?? 10 * power;
}

export class Chart {
  /**
   * @param figure the element to fill
   * @param names the series; the legend shows them
   * @param format the text of a value
   * @param least the least value at the top of the chart
   */
  constructor(figure, names, format, least) {
    this.title = figure.querySelector("figcaption").textContent;
    this.names = names;
    this.format = format;
    this.least = least;
    this.points = [];
    this.top = html("span");
    this.picture = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" });
    this.lines = names.map((_, index) => svg("path", { class: `series-${index + 1}` }));
    this.picture.append(...this.lines);
    const above = html("div", "", "scale"), below = html("div", "", "scale"), legend = html("ul");
    above.append(this.top);
    below.append(html("span", "2 min ago"), html("span", "now"));
    this.values = names.map((name, index) => {
      const item = html("li"), sample = svg("svg", { viewBox: "0 0 28 10", "aria-hidden": "true" }), value = html("span");
      sample.append(svg("path", { d: "M0 5H28", class: `series-${index + 1}` }));
      item.append(sample, `${name} `, value);
      legend.append(item);
      return value;
    });
    figure.append(above, this.picture, below, legend);
  }

  clear() {
    this.points = [];
  }

  /** Add the values of all series at *time* (seconds), and draw. null is a gap. */
  add(time, values) {
    this.points.push([time, values]);
    this.points = this.points.filter(([earlier]) => earlier > time - SPAN);
    const highest = Math.max(this.least, ...this.points.flatMap(([, each]) => each.map((value) => value ?? 0)));
    const top = ceiling(highest);
    this.top.textContent = this.format(top);
    this.lines.forEach((line, index) => line.setAttribute("d", this.path(index, time, top)));
    this.values.forEach((element, index) => { element.textContent = this.format(values[index]); });
    const now = this.names.map((name, index) => `${name} ${this.format(values[index])}`).join(", ");
    this.picture.setAttribute("aria-label", `${this.title}, now: ${now}. Highest: ${this.format(
      Math.max(0, ...this.points.flatMap(([, each]) => each.map((value) => value ?? 0))))}.`);
  }

  path(index, now, top) {
    let text = "", pen = "M";
    for (const [time, values] of this.points) {
      if (values[index] === null) {
        pen = "M";
        continue;
      }
      const x = (WIDTH - (now - time)).toFixed(1), y = (HEIGHT - 1 - (HEIGHT - 2) * values[index] / top).toFixed(1);
      // A line of length zero shows a point whose neighbours are gaps.
      text += pen === "M" ? `M${x} ${y}h0` : `L${x} ${y}`;
      pen = "L";
    }
    return text;
  }
}
