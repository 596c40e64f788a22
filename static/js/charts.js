// Plots of the figures that stand in a JSON block of the page, in the colours of the theme.
(() => {
  const tone = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const day = (text) => {
    const options = { day: "numeric", month: "short", timeZone: "UTC" };
    return new Date(`${text}T00:00:00Z`).toLocaleDateString(pageLocale, options);
  };
  const base = () => {
    const color = tone("--bs-secondary-color");
    return {
      responsive: true,
      maintainAspectRatio: false,
      animation: false,
      plugins: { legend: { position: "bottom", labels: { color: tone("--bs-body-color"), boxWidth: 12 } } },
      scales: {
        x: { stacked: true, grid: { display: false }, ticks: { color, maxRotation: 0, autoSkipPadding: 12 } },
        y: {
          stacked: true,
          beginAtZero: true,
          grid: { color: tone("--bs-border-color-translucent") || "rgba(128,128,128,.2)" },
          ticks: { color, precision: 0 },
        },
      },
    };
  };
  const series = (label, data, name) => ({ label, data, backgroundColor: tone(`--${name}`) });
  const days = (data) => ({
    type: "bar",
    options: base(),
    data: {
      labels: data.labels.map(day),
      datasets: Object.entries(data.series).map(([name, values]) => series(data.names[name], values, name)),
    },
  });
  const rate = (data) => {
    const options = base();
    options.scales.y.max = 100;
    options.plugins.legend.display = false;
    options.scales.y.ticks.callback = (value) => `${value} %`;
    const datasets = [series("%", data.rate, "delivered")];
    return { type: "bar", options, data: { labels: data.labels.map(day), datasets } };
  };
  const times = (data) => {
    const options = base();
    options.plugins.legend.display = false;
    const datasets = [series(data.name, data.values, "delivered")];
    return { type: "bar", options, data: { labels: data.labels, datasets } };
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
