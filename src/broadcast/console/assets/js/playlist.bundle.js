// One continuous listening: the sounds of a list, one after the other, in its order.

for (const button of document.querySelectorAll("button[data-playlist]")) {
  const list = document.getElementById(button.dataset.playlist);
  const sounds = [...list.querySelectorAll("audio")];
  const said = button.parentElement.querySelector("[data-playing]");
  const words = button.textContent;
  let playing = -1;
  button.hidden = sounds.length < 2;

  const show = () => {
    button.textContent = playing < 0 ? words : button.dataset.stop;
    button.setAttribute("aria-pressed", String(playing >= 0));
    said.textContent = playing < 0 ? "" : sounds[playing].getAttribute("aria-label");
    sounds.forEach((sound, index) => sound.closest("li").toggleAttribute("data-sounding", index === playing));
  };
  const stop = () => {
    const sound = sounds[playing];
    playing = -1;
    sound?.pause();
    show();
  };
  const play = async (index) => {
    if (index >= sounds.length) return stop();
    playing = index;
    show();
    sounds[index].currentTime = 0;
    try {
      await sounds[index].play();
    } catch {
      if (playing === index) play(index + 1); // it cannot be fetched; the others can
    }
  };
  sounds.forEach((sound, index) => sound.addEventListener("ended", () => playing === index && play(index + 1)));
  sounds.forEach((sound, index) => sound.addEventListener("play", () => playing !== index && playing >= 0 && stop()));
  button.addEventListener("click", () => (playing < 0 ? play(0) : stop()));
}
