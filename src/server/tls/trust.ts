import type { X509Certificate } from "node:crypto";
import { issuerOf, type RevocationList } from "./revocation.ts";

/**
 * The authorities and revocations of one reading of the files, as far as connections that are already open need them.
 * What a new handshake is worth is OpenSSL's to say.
 */
export class Trust {
  readonly #authorities: readonly X509Certificate[];
  readonly #lists: ReadonlyMap<string, ReadonlySet<string>>;
  /** The issuers that revoke something here which they did not in another reading. */
  readonly #news = new WeakMap<Trust, ReadonlySet<string>>();

  constructor(authorities: readonly X509Certificate[], lists: readonly RevocationList[]) {
    this.#authorities = authorities;
    this.#lists = new Map(lists.map((list) => [list.issuer, list.serials]));
  }

  /**
   * The authorities of the CA file above a certificate, from its issuer up. Empty when the issuer is an intermediate
   * that the client sent: Node 24.21 does not tell a server which ones those were, so they are not looked at.
   */
  pathOf(leaf: X509Certificate): readonly X509Certificate[] {
    const path: X509Certificate[] = [];
    for (let last = leaf; path.length <= this.#authorities.length; ) {
      const issuer = this.#authorities.find((one) => last.checkIssued(one) && last.verify(one.publicKey));
      if (issuer === undefined || path.includes(issuer)) break;
      path.push(issuer);
      last = issuer;
    }
    return path;
  }

  /**
   * Whether a certificate that was good when `before` was read no longer is, or may no longer be. `path` is what
   * `before.pathOf` gave. Under an intermediate that we don't know, any authority taken away and any revocation by
   * another than the certificate's issuer counts, since it may be its own; the client then connects anew and
   * OpenSSL, which sees the whole chain, decides.
   */
  withdraws(leaf: X509Certificate, path: readonly X509Certificate[], before: Trust): boolean {
    if (this.#revokes(leaf)) return true;
    if (path.length > 0) return path.some((authority) => this.#revokes(authority) || !this.#has(authority));
    if (before.#authorities.some((authority) => !this.#has(authority))) return true;
    const issuer = issuerOf(leaf);
    return [...this.#newsSince(before)].some((other) => other !== issuer);
  }

  #revokes(certificate: X509Certificate): boolean {
    return this.#lists.get(issuerOf(certificate))?.has(certificate.serialNumber) ?? false;
  }

  /** A renewed certificate with the same name and key is the same authority. */
  #has(authority: X509Certificate): boolean {
    return this.#authorities.some(
      (one) => one.subject === authority.subject && one.publicKey.equals(authority.publicKey),
    );
  }

  #newsSince(before: Trust): ReadonlySet<string> {
    let news = this.#news.get(before);
    if (news === undefined) {
      const revokesMore = ([issuer, serials]: [string, ReadonlySet<string>]) => {
        const known = before.#lists.get(issuer);
        return [...serials].some((serial) => !known?.has(serial));
      };
      news = new Set([...this.#lists].filter(revokesMore).map(([issuer]) => issuer));
      this.#news.set(before, news);
    }
    return news;
  }
}
