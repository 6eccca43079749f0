/** The token that a change carries (`broadcast.auth.session.CSRF_COOKIE`). */
export function csrf() {
  const found = document.cookie.match(/(?:^|; )__Host-broadcast-csrf=([^;]*)/);
  return found ? found[1] : "";
}

/** Send JSON to the REST interface; throws the problem document (RFC 9457) of a refusal. */
export async function send(method, path, body) {
  let response;
  try {
    response = await fetch(path, {
      method,
      headers: { "Content-Type": "application/json", Accept: "application/json", "X-CSRF-Token": csrf() },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch {
    throw { status: 0, title: "", detail: words().unreachable };
  }
  const text = await response.text();
  const answer = text ? JSON.parse(text) : null;
  if (!response.ok) throw answer;
  return answer;
}

const WORDS = {
  vi: {
    unreachable: "Không tới được máy chủ; hãy kiểm tra mạng rồi thử lại.",
    failed: "Không thực hiện được; hãy thử lại.",
    close: "Đóng",
    yes: "Đồng ý",
  },
  en: {
    unreachable: "The server cannot be reached; check the network, then try again.",
    failed: "That failed; please try again.",
    close: "Close",
    yes: "Yes",
  },
};

/** The few words that scripts say themselves. */
export function words() {
  return WORDS[document.documentElement.lang] ?? WORDS.vi;
}
