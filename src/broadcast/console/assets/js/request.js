/** The token that a change carries (`broadcast.auth.session.CSRF_COOKIE`). */
export function csrf() {
  const found = document.cookie.match(/(?:^|; )__Host-broadcast-csrf=([^;]*)/);
  return found ? found[1] : "";
}

/** Send JSON to the REST interface; throws the problem document (RFC 9457) of a refusal. */
export async function send(method, path, body) {
  let response = await ask(method, path, body);
  if (response.status === 401 && !(await isSignedOut())) response = await ask(method, path, body);
  const answer = parsed(await response.text(), response.status);
  if (!response.ok) throw answer;
  return answer;
}

async function ask(method, path, body) {
  try {
    return await fetch(path, {
      method,
      headers: { "Content-Type": "application/json", Accept: "application/json", "X-CSRF-Token": csrf() },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch {
    throw { status: 0, title: "", detail: words().unreachable };
  }
}

const SESSION_MS = 5000;

/** Whether the session is over. One refusal does not tell: a second factor gives the session a new
    cookie, and what was under way with the one before it is refused. */
export async function isSignedOut() {
  const answer = await fetch("/api/v1/session", { signal: AbortSignal.timeout(SESSION_MS) }).catch(() => null);
  return answer?.status === 401;
}

/** JSON of an answer; a proxy between may have answered with a page of its own. */
export function parsed(text, status) {
  if (!text && status < 400) return null;
  try {
    return JSON.parse(text);
  } catch {
    return { status, title: "", detail: status === 413 ? words().large : words().failed };
  }
}

const WORDS = {
  vi: {
    unreachable: "Không tới được máy chủ; hãy kiểm tra mạng rồi thử lại.",
    large: "Tệp lớn hơn mức máy chủ nhận; hãy cắt ngắn hoặc nén thành MP3 rồi tải lên.",
    failed: "Không thực hiện được; hãy thử lại.",
    close: "Đóng",
    yes: "Đồng ý",
  },
  en: {
    unreachable: "The server cannot be reached; check the network, then try again.",
    large: "The file is larger than the server takes; shorten it or save it as MP3, then upload.",
    failed: "That failed; please try again.",
    close: "Close",
    yes: "Yes",
  },
};

/** The few words that scripts say themselves. */
export function words() {
  return WORDS[document.documentElement.lang] ?? WORDS.vi;
}
