// Plots of the figures that stand in a JSON block of the page, in the colours of the theme.
(() => {
  const tone = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const day = (text) => new Date(`${text}T00:00:00Z`).toLocaleDateString(undefined, { day: "numeric", month: "short", timeZone: "UTC" });
  const base = () => ({
    responsive: true, maintainAspectRatio: false, animation: false,
    plugins: { legend: { position: "bottom", labels: { color: tone("--bs-body-color"), boxWidth: 12 } } },
    scales: {
      x: { stacked: true, grid: { display: false }, ticks: { color: tone("--bs-secondary-color"), maxRotation: 0, autoSkipPadding: 12 } },
      y: { stacked: true, beginAtZero: true, grid: { color: tone("--bs-border-color-translucent") || "rgba(128,128,128,.2)" }, ticks: { color: tone("--bs-secondary-color"), precision: 0 } },
    },
  });
  const days = (data) => ({
    type: "bar", options: base(),
    data: {
      labels: data.labels.map(day),
      datasets: Object.entries(data.series).map(([name, values]) => ({ label: data.names[name], data: values, backgroundColor: tone(`--${name}`) })),
    },
  });
  const rate = (data) => {
    const options = base();
    options.scales.y.max = 100;
    options.plugins.legend.display = false;
    options.scales.y.ticks.callback = (value) => `${value} %`;
    return {
      type: "bar", options,
      data: { labels: data.labels.map(day), datasets: [{ label: "%", data: data.rate, backgroundColor: tone("--delivered") }] },
    };
  };
  const times = (data) => {
    const options = base();
    options.plugins.legend.display = false;
    return { type: "bar", options, data: { labels: data.labels, datasets: [{ label: data.name, data: data.values, backgroundColor: tone("--delivered") }] } };
  };
  const kinds = { days, rate, times };
  let drawn = [];
  const draw = () => {
    drawn.forEach((chart) => chart.destroy());
    drawn = [...document.querySelectorAll("canvas[data-chart]")].map((canvas) => {
      const data = JSON.parse(document.getElementById(canvas.dataset.source).textContent);
      return new Chart(canvas, kinds[canvas.dataset.chart](data));
    });
  };
  document.addEventListener("themechange", draw);
  draw();
})();
