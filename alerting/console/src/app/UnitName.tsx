import { useQuery } from '@tanstack/react-query';
import { useCallback } from 'react';
import { unitsQuery } from '../api/queries';
import type { Unit } from '../api/types';
import { plain } from '../text/hostile';

const NAMES = new WeakMap<Unit[], ReadonlyMap<string, string>>();

function namesOf(units: Unit[]): ReadonlyMap<string, string> {
  const known = NAMES.get(units) ?? new Map(units.map(({ id, name }) => [id, name]));
  NAMES.set(units, known);
  return known;
}

/** Gives what people call a unit; its id where nothing else is known. */
export function useUnitName(): (id: string) => string {
  const { data } = useQuery(unitsQuery);
  const units = data?.items;
  return useCallback((id) => plain((units && namesOf(units).get(id)) || id), [units]);
}

/** A unit as people call it, with its id on hover. */
export function UnitName({ id }: { id: string }) {
  const nameOf = useUnitName();
  return <bdi title={plain(id)}>{nameOf(id)}</bdi>;
}
