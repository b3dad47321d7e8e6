/** An import by Node itself, for whoever requires this module. */
export const load = (url: string): Promise<unknown> => import(url);
